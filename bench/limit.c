/* The limit for `mesh bench`: what it costs to make a frame of each event and write(2) it to each socket, in C.
 *
 *     limit NATS_PORT
 *
 * It follows live.> on the NATS server at 127.0.0.1:NATS_PORT, listens on a free port of 127.0.0.1, prints it as
 * {"port":N} once events can come, and ends with its standard input. A WebSocket on /ws/agent/ID gets the events of
 * live.agent.ID.<verb>, each as one text frame with topic, cursor, prev and subject put in front of the body, as an
 * edge does it. What arrives in one turn is joined and written once to each socket. A socket that takes only a part
 * keeps the rest, up to a bound, and gets it when it can take more.
 *
 * What it leaves out is what an edge is for: it checks nothing, knows no origin, token or position, heals no gap,
 * sends no pings, and drops whoever falls behind the bound. It is no server to use; it is the floor under one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    MOST_MESSAGE_BYTES = 1024 * 1024,
    MOST_HEAD_BYTES = 4096,
    MOST_PENDING_BYTES = 4 * 1024 * 1024,
    MOST_REST_BYTES = 4 * 1024 * 1024,
    MOST_DESCRIPTORS = 256 * 1024,
    MOST_ID_BYTES = 64,
    TABLE_SIZE = 64 * 1024, /* of topics, by the hash of their id */
    MOST_TOPICS = TABLE_SIZE / 2,
    EVENTS_AT_A_TIME = 512,
};

struct text {
    const char *at;
    size_t bytes;
};

struct topic {
    char id[MOST_ID_BYTES + 1];
    int *sockets;
    size_t socket_count, socket_room;
    char *pending; /* frames of this turn */
    size_t pending_bytes, pending_room;
};

struct client {
    struct topic *topic; /* NULL until the handshake is done */
    char *rest;          /* of the handshake, then of what could not be written */
    size_t rest_bytes, rest_room;
};

static struct {
    int epoll, nats, listener;
    struct client *clients[MOST_DESCRIPTORS]; /* by descriptor */
    struct topic *topics[TABLE_SIZE];
    size_t topic_count;
    struct topic *changed[MOST_TOPICS];
    size_t changed_count;
    size_t nats_bytes;
    char nats_data[MOST_MESSAGE_BYTES + READ_BYTES];
} edge;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "limit: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static void append(char **memory, size_t *bytes, size_t *room, const void *data, size_t more)
{
    if (*bytes + more > *room) {
        *room = 2 * (*bytes + more);
        *memory = realloc(*memory, *room);
        if (*memory == NULL)
            die("out of memory");
    }
    memcpy(*memory + *bytes, data, more);
    *bytes += more;
}

static void watch(int descriptor, int operation, uint32_t events)
{
    struct epoll_event wanted = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(edge.epoll, operation, descriptor, &wanted) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

/* ---- SHA-1 (RFC 3174) and base64 (RFC 4648), which the handshake asks for --------------------------------------- */

static uint32_t rotated(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static void sha1_block(uint32_t state[5], const uint8_t block[64])
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 |
               block[4 * t + 3];
    for (unsigned t = 16; t < 80; t++)
        w[t] = rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (unsigned t = 0; t < 80; t++) {
        uint32_t f = t < 20   ? ((b & c) | (~b & d)) + 0x5A827999u
                     : t < 40 ? (b ^ c ^ d) + 0x6ED9EBA1u
                     : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDCu
                              : (b ^ c ^ d) + 0xCA62C1D6u;
        uint32_t next = rotated(a, 5) + f + e + w[t];
        e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* The answer to a nonce of 24 characters (RFC 6455, section 4.2.2): 60 bytes, so always two blocks. */
static void accept_key(const char nonce[24], char accept[29])
{
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t state[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};
    uint8_t blocks[128] = {0}, digest[21] = {0};
    memcpy(blocks, nonce, 24);
    memcpy(blocks + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    blocks[60] = 0x80;
    blocks[126] = 60 * 8 >> 8;
    blocks[127] = 60 * 8 & 0xFF;
    sha1_block(state, blocks);
    sha1_block(state, blocks + 64);
    for (unsigned at = 0; at < 20; at++)
        digest[at] = (uint8_t)(state[at / 4] >> (24 - 8 * (at % 4)));
    for (unsigned at = 0; at < 7; at++) {
        uint32_t word = (uint32_t)digest[3 * at] << 16 | (uint32_t)digest[3 * at + 1] << 8 | digest[3 * at + 2];
        for (unsigned letter = 0; letter < 4; letter++)
            accept[4 * at + letter] = LETTERS[word >> (18 - 6 * letter) & 63];
    }
    accept[27] = '=';
    accept[28] = '\0';
}

/* ---- Topics and their sockets ---------------------------------------------------------------------------------- */

/* The place of a topic in the table, empty where it is unknown (FNV-1a, open addressing). */
static struct topic **place_of(struct text id)
{
    uint32_t hash = 2166136261u;
    for (size_t at = 0; at < id.bytes; at++)
        hash = (hash ^ (uint8_t)id.at[at]) * 16777619u;
    for (;; hash++) {
        struct topic **place = &edge.topics[hash % TABLE_SIZE];
        if (*place == NULL || ((*place)->id[id.bytes] == '\0' && memcmp((*place)->id, id.at, id.bytes) == 0))
            return place;
    }
}

static struct topic *topic_of(struct text id)
{
    struct topic **place = place_of(id);
    if (*place == NULL) {
        if (edge.topic_count++ == MOST_TOPICS)
            die("more than %d topics", MOST_TOPICS);
        *place = calloc(1, sizeof **place);
        if (*place == NULL)
            die("out of memory");
        memcpy((*place)->id, id.at, id.bytes);
    }
    return *place;
}

static void join(struct topic *topic, int descriptor)
{
    if (topic->socket_count == topic->socket_room) {
        topic->socket_room = topic->socket_room ? 2 * topic->socket_room : 1;
        topic->sockets = realloc(topic->sockets, topic->socket_room * sizeof *topic->sockets);
        if (topic->sockets == NULL)
            die("out of memory");
    }
    topic->sockets[topic->socket_count++] = descriptor;
}

static void leave(struct topic *topic, int descriptor)
{
    for (size_t at = 0; at < topic->socket_count; at++)
        if (topic->sockets[at] == descriptor)
            topic->sockets[at] = topic->sockets[--topic->socket_count];
}

static void drop(int descriptor)
{
    struct client *client = edge.clients[descriptor];
    if (client->topic != NULL)
        leave(client->topic, descriptor);
    free(client->rest);
    free(client);
    edge.clients[descriptor] = NULL;
    close(descriptor);
}

/* Writes what it can and keeps the rest; false where the socket is broken or too far behind. */
static bool give(int descriptor, const char *data, size_t bytes)
{
    struct client *client = edge.clients[descriptor];
    bool is_behind = client->rest_bytes > 0;
    if (!is_behind) {
        ssize_t written = write(descriptor, data, bytes);
        if (written == (ssize_t)bytes)
            return true;
        if (written < 0 && errno != EAGAIN)
            return false;
        size_t part = written > 0 ? (size_t)written : 0;
        data += part;
        bytes -= part;
        watch(descriptor, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
    if (client->rest_bytes + bytes > MOST_REST_BYTES)
        return false;
    append(&client->rest, &client->rest_bytes, &client->rest_room, data, bytes);
    return true;
}

static bool give_rest(int descriptor)
{
    struct client *client = edge.clients[descriptor];
    ssize_t written = write(descriptor, client->rest, client->rest_bytes);
    if (written < 0)
        return errno == EAGAIN;
    client->rest_bytes -= (size_t)written;
    memmove(client->rest, client->rest + written, client->rest_bytes);
    if (client->rest_bytes == 0)
        watch(descriptor, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

static void flush_topics(void)
{
    for (size_t each = 0; each < edge.changed_count; each++) {
        struct topic *topic = edge.changed[each];
        for (size_t at = topic->socket_count; at-- > 0;) {
            int descriptor = topic->sockets[at];
            if (!give(descriptor, topic->pending, topic->pending_bytes))
                drop(descriptor); /* puts the last one in its place, which had its turn */
        }
        topic->pending_bytes = 0;
    }
    edge.changed_count = 0;
}

/* ---- NATS -------------------------------------------------------------------------------------------------------- */

static struct text header(struct text headers, const char *name)
{
    size_t bytes = strlen(name);
    const char *found = memmem(headers.at, headers.bytes, name, bytes);
    if (found == NULL)
        return (struct text){"0", 1};
    const char *value = found + bytes;
    const char *past = memchr(value, '\r', (size_t)(headers.at + headers.bytes - value));
    return past == NULL ? (struct text){"0", 1} : (struct text){value, (size_t)(past - value)};
}

static void add_pending(struct topic *topic, const void *data, size_t bytes)
{
    append(&topic->pending, &topic->pending_bytes, &topic->pending_room, data, bytes);
}

/* Makes the frame of one event and has it written at the end of the turn. */
static void take_event(struct text subject, struct text headers, struct text body)
{
    static const char BEFORE[] = "live.agent.";
    const char *id = subject.at + sizeof BEFORE - 1;
    if (subject.bytes <= sizeof BEFORE || memcmp(subject.at, BEFORE, sizeof BEFORE - 1) != 0 || body.bytes < 2)
        return;
    const char *dot = memchr(id, '.', (size_t)(subject.at + subject.bytes - id));
    if (dot == NULL || dot - id > MOST_ID_BYTES)
        return;
    struct topic *topic = *place_of((struct text){id, (size_t)(dot - id)});
    if (topic == NULL || topic->socket_count == 0)
        return;
    struct text seq = header(headers, "Nats-Sequence: "), prev = header(headers, "Nats-Last-Sequence: ");
    char front[512];
    int front_bytes = snprintf(front, sizeof front,
                               "{\"topic\":\"agent_%s\",\"cursor\":\"Sp9a7c2-%.*s\",\"prev\":\"Sp9a7c2-%.*s\","
                               "\"subject\":\"%.*s\",",
                               topic->id, (int)seq.bytes, seq.at, (int)prev.bytes, prev.at, (int)subject.bytes - 5,
                               subject.at + 5);
    if (front_bytes < 0 || (size_t)front_bytes >= sizeof front)
        return;
    size_t bytes = (size_t)front_bytes + body.bytes - 1; /* the body without its opening brace */
    uint8_t head[10] = {0x81};
    size_t head_bytes = 2;
    if (bytes < 126) {
        head[1] = (uint8_t)bytes;
    } else if (bytes < 65536) {
        head[1] = 126, head[2] = (uint8_t)(bytes >> 8), head[3] = (uint8_t)bytes;
        head_bytes = 4;
    } else {
        head[1] = 127;
        for (unsigned at = 0; at < 8; at++)
            head[2 + at] = (uint8_t)((uint64_t)bytes >> (56 - 8 * at));
        head_bytes = 10;
    }
    if (topic->pending_bytes == 0)
        edge.changed[edge.changed_count++] = topic;
    add_pending(topic, head, head_bytes);
    add_pending(topic, front, (size_t)front_bytes);
    add_pending(topic, body.at + 1, body.bytes - 1);
    if (topic->pending_bytes > MOST_PENDING_BYTES)
        flush_topics();
}

/* Takes one operation of the protocol; returns its size, or 0 where more has to come. */
static size_t take_operation(const char *data, size_t size)
{
    const char *end = memmem(data, size, "\r\n", 2);
    if (end == NULL)
        return 0;
    size_t line = (size_t)(end - data) + 2;
    if (memcmp(data, "PING", 4) == 0) {
        if (write(edge.nats, "PONG\r\n", 6) != 6)
            die("NATS: %s", strerror(errno));
        return line;
    }
    if (memcmp(data, "-ERR", 4) == 0)
        die("NATS says %.*s", (int)(end - data), data);
    bool has_headers = data[0] == 'H';
    if (memcmp(data + has_headers, "MSG ", 4) != 0)
        return line;
    /* HMSG subject sid [reply] header-bytes bytes; what was republished has no reply, and others are not believed. */
    const char *subject = data + 4 + has_headers, *space = memchr(subject, ' ', (size_t)(end - subject));
    size_t header_bytes = 0, bytes = 0;
    int read = 0;
    char sid[16];
    if (space == NULL)
        die("NATS: a message without a subject");
    if (has_headers)
        read = sscanf(space, " %15s %zu %zu", sid, &header_bytes, &bytes);
    else if (sscanf(space, " %15s %zu", sid, &bytes) == 2)
        read = 3;
    if (read != 3 || bytes < header_bytes || line + bytes + 2 > MOST_MESSAGE_BYTES)
        die("NATS: a message that cannot be read: %.*s", (int)(end - data), data);
    if (size < line + bytes + 2)
        return 0;
    take_event((struct text){subject, (size_t)(space - subject)}, (struct text){data + line, header_bytes},
               (struct text){data + line + header_bytes, bytes - header_bytes});
    return line + bytes + 2;
}

static void take_nats(void)
{
    ssize_t got = read(edge.nats, edge.nats_data + edge.nats_bytes, READ_BYTES);
    if (got <= 0)
        die("NATS has closed the connection");
    size_t size = edge.nats_bytes + (size_t)got, at = 0, taken;
    while (size - at >= 4 && (taken = take_operation(edge.nats_data + at, size - at)) > 0)
        at += taken;
    edge.nats_bytes = size - at;
    memmove(edge.nats_data, edge.nats_data + at, edge.nats_bytes);
    flush_topics();
}

/* Returns when the server has taken the subscription. */
static void follow(int port)
{
    static const char HELLO[] = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,"
                                "\"name\":\"limit\"}\r\nSUB live.> 1\r\nPING\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    edge.nats = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (edge.nats < 0 || connect(edge.nats, (struct sockaddr *)&to, sizeof to) < 0)
        die("NATS at port %d: %s", port, strerror(errno));
    if (write(edge.nats, HELLO, sizeof HELLO - 1) != sizeof HELLO - 1)
        die("NATS: %s", strerror(errno));
    while (memmem(edge.nats_data, edge.nats_bytes, "\r\nPONG\r\n", 8) == NULL) {
        ssize_t got = read(edge.nats, edge.nats_data + edge.nats_bytes, READ_BYTES - edge.nats_bytes);
        if (got <= 0)
            die("NATS does not answer");
        edge.nats_bytes += (size_t)got;
    }
    edge.nats_bytes = 0; /* before the listener is open nobody misses anything */
}

/* ---- Sockets --------------------------------------------------------------------------------------------------- */

static void answer(int descriptor, const char *text)
{
    if (write(descriptor, text, strlen(text)) < 0 && errno != EAGAIN)
        return; /* the next read tells that it is broken */
}

/* Answers a handshake once it is whole; false where the socket is to be dropped. */
static bool shake_hands(int descriptor, struct client *client)
{
    static const char PATH[] = "GET /ws/agent/", KEY[] = "\r\nSec-WebSocket-Key: ";
    const char *head = client->rest;
    if (memmem(head, client->rest_bytes, "\r\n\r\n", 4) == NULL)
        return client->rest_bytes <= MOST_HEAD_BYTES;
    const char *key = memmem(head, client->rest_bytes, KEY, sizeof KEY - 1);
    const char *id = head + sizeof PATH - 1;
    if (memcmp(head, PATH, sizeof PATH - 1) != 0 || key == NULL) {
        answer(descriptor, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return false;
    }
    size_t id_bytes = strcspn(id, " ?\r");
    key += sizeof KEY - 1;
    if (id_bytes == 0 || id_bytes > MOST_ID_BYTES || strcspn(key, "\r") != 24) {
        answer(descriptor, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        return false;
    }
    char accept[29], response[160];
    accept_key(key, accept);
    snprintf(response, sizeof response,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
    answer(descriptor, response);
    client->topic = topic_of((struct text){id, id_bytes});
    join(client->topic, descriptor);
    free(client->rest);
    client->rest = NULL;
    client->rest_bytes = client->rest_room = 0;
    return true;
}

/* Reads from a client; after the handshake what it says is thrown away. */
static bool hear(int descriptor)
{
    char data[MOST_HEAD_BYTES];
    struct client *client = edge.clients[descriptor];
    ssize_t got = read(descriptor, data, sizeof data);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    if (client->topic != NULL)
        return true;
    append(&client->rest, &client->rest_bytes, &client->rest_room, data, (size_t)got);
    append(&client->rest, &client->rest_bytes, &client->rest_room, "", 1); /* strcspn stops at a zero */
    client->rest_bytes--;
    return shake_hands(descriptor, client);
}

static void let_in(void)
{
    int descriptor, yes = 1;
    while ((descriptor = accept4(edge.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (descriptor >= MOST_DESCRIPTORS || (edge.clients[descriptor] = calloc(1, sizeof(struct client))) == NULL)
            die("too many sockets");
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watch(descriptor, EPOLL_CTL_ADD, EPOLLIN);
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        die("accept: %s", strerror(errno));
}

static void listen_on_a_free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    edge.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (edge.listener < 0 || bind(edge.listener, (struct sockaddr *)&at, size) < 0 ||
        listen(edge.listener, 4096) < 0 || getsockname(edge.listener, (struct sockaddr *)&at, &size) < 0)
        die("cannot listen: %s", strerror(errno));
    printf("{\"port\":%d}\n", ntohs(at.sin_port));
    fflush(stdout);
}

static void serve(void)
{
    struct epoll_event events[EVENTS_AT_A_TIME];
    for (;;) {
        int count = epoll_wait(edge.epoll, events, EVENTS_AT_A_TIME, -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        bool has_events = false, has_guests = false;
        for (int at = 0; at < count; at++) {
            int descriptor = events[at].data.fd;
            if (descriptor == STDIN_FILENO)
                exit(0);
            if (descriptor == edge.nats)
                has_events = true;
            else if (descriptor == edge.listener)
                has_guests = true;
            else if (((events[at].events & EPOLLOUT) && !give_rest(descriptor)) ||
                     ((events[at].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !hear(descriptor)))
                drop(descriptor);
        }
        /* Last, since they may drop a socket, or give its number to another one, that this turn tells of. */
        if (has_events)
            take_nats();
        if (has_guests)
            let_in();
    }
}

int main(int count, char **arguments)
{
    int port = count == 2 ? atoi(arguments[1]) : 0;
    if (port < 1 || port > 65535)
        die("usage: limit NATS_PORT");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    edge.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (edge.epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    watch(STDIN_FILENO, EPOLL_CTL_ADD, EPOLLHUP | EPOLLIN);
    follow(port);
    watch(edge.nats, EPOLL_CTL_ADD, EPOLLIN);
    listen_on_a_free_port();
    watch(edge.listener, EPOLL_CTL_ADD, EPOLLIN);
    serve();
}
