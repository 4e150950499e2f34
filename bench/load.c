/* WebSocket clients by the thousand, for `mesh bench`, in one thread.
 *
 *     load PORT [--joined-by TEXT] [--nats] [--rests]
 *
 * It connects to 127.0.0.1, takes commands as lines on standard input, answers each with a JSON object on a line of
 * standard output, and ends with its standard input:
 *
 *     open FILE RATE UNFINISHED   Open a socket for each line of FILE, which holds path, subprotocol and NATS subject
 *                                 between tabs, "-" for none: at most RATE a second, and UNFINISHED at a time. Answers
 *                                 when each has joined or was refused.
 *     mark                        Begin to count anew.
 *     report                      What came since the mark.
 *     close                       Close all sockets.
 *
 * A socket has joined when a frame of it holds TEXT, or after the handshake where no TEXT is given. With --nats it
 * speaks NATS inside of WebSocket frames, follows the subject, and has joined with the first PONG.
 * With --rests it sleeps for two milliseconds after each look at its sockets, except while it opens some: nobody who
 * writes to it then has to wake it, which costs more or less, as it happens to be asleep or not.
 *
 * Every event that is published for a bench carries "bench":"<sequence>.<microseconds>", both of 16 digits: the number
 * of the event on its topic, from 1, and when it was published (CLOCK_MONOTONIC). Each socket must see its sequence
 * without a hole, once, in order. Everything is bounded; what breaks a rule is counted, never passed over.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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
#include <time.h>
#include <unistd.h>

enum {
    READ_BYTES = 256 * 1024,
    MOST_FRAME_BYTES = 1024 * 1024,
    MOST_HEAD_BYTES = 8 * 1024,
    MOST_CLIENTS = 200 * 1000,
    MOST_LINE_BYTES = 4096,
    EVENTS_AT_A_TIME = 512,
    REST_NS = 2 * 1000 * 1000,
    DIGITS = 16,
    MARK_BYTES = 9,
    STAMP_BYTES = MARK_BYTES + 2 * DIGITS + 1,
    /* Buckets of a histogram: 64 to each power of two, so a value is known to 1.6 %. */
    SUB_BUCKETS = 64,
    BUCKETS = SUB_BUCKETS * 40,
};

static const uint32_t STDIN_TAG = UINT32_MAX;
static const char MARK[] = "\"bench\":\"";
/* The example of RFC 6455, section 1.3: one nonce for all, so that the answer is known without a hash. */
static const char NONCE[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

enum state { CONNECTING, SHAKING, JOINING, JOINED, CLOSED };

struct client {
    int fd;
    enum state state;
    uint32_t line;       /* of the file that it was opened from */
    uint32_t rest_bytes; /* of an unfinished frame, kept in rest */
    uint32_t rest_room;
    uint8_t *rest;
    uint64_t first, last; /* sequence numbers that were seen */
};

struct line {
    char *path, *protocol, *subject;
};

struct opening {
    bool under_way;
    char *text;
    struct line *lines;
    uint32_t count, started, joined, refused, most_unfinished;
    double rate;
    uint64_t began_ns;
    char reason[64]; /* of the first refusal */
};

struct counts {
    uint64_t events, bytes, others, broken, repeated, reordered, missing, closed, slowest_us, began_ns, began_cpu_ns;
    uint64_t histogram[BUCKETS];
};

static struct {
    int epoll, port;
    bool speaks_nats, rests;
    const char *joined_by;
    struct client *clients;
    uint32_t client_count, client_room;
    struct opening opening;
    struct counts counts;
    size_t usual_place; /* of the mark in a frame: all frames of a bench are alike */
    char command[MOST_LINE_BYTES];
    size_t command_bytes;
    uint8_t buffer[MOST_FRAME_BYTES + READ_BYTES];
} load;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static void *grown(void *memory, size_t bytes)
{
    void *more = realloc(memory, bytes);
    if (more == NULL)
        die("out of memory");
    return more;
}

/* ---- Counting ------------------------------------------------------------------------------------------------ */

static unsigned bucket_of(uint64_t value)
{
    if (value < SUB_BUCKETS)
        return (unsigned)value;
    unsigned power = 63u - (unsigned)__builtin_clzll(value); /* at least 6 */
    unsigned bucket = (power - 5u) * SUB_BUCKETS + (unsigned)(value >> (power - 6u)) - SUB_BUCKETS;
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < SUB_BUCKETS)
        return bucket;
    unsigned power = bucket / SUB_BUCKETS + 5u;
    uint64_t width = 1ull << (power - 6u);
    return (bucket % SUB_BUCKETS + SUB_BUCKETS) * width + width / 2;
}

static uint64_t percentile_us(double share)
{
    uint64_t wanted = (uint64_t)(share * (double)load.counts.events), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++)
        if ((seen += load.counts.histogram[bucket]) > wanted)
            return middle_of(bucket);
    return load.counts.slowest_us;
}

/* Eight digits at a time; false where there are others. */
static bool read_digits(const uint8_t *text, uint64_t *value)
{
    uint64_t result = 0;
    for (int half = 0; half < 2; half++) {
        uint64_t word;
        memcpy(&word, text + 8 * half, 8);
        if ((word & (word + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) != 0x3030303030303030u)
            return false;
        word -= 0x3030303030303030u; /* the first digit is in the lowest byte */
        word = word * 10 + (word >> 8);
        word = ((word & 0x000000FF000000FFu) * 0x000F424000000064u +
                ((word >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u) >> 32;
        result = result * 100000000u + (word & 0xFFFFFFFFu);
    }
    *value = result;
    return true;
}

static void count_event(struct client *client, const uint8_t *stamp, uint64_t now_us)
{
    struct counts *counts = &load.counts;
    uint64_t seq, sent_us;
    if (!read_digits(stamp, &seq) || !read_digits(stamp + DIGITS + 1, &sent_us)) {
        counts->broken++;
        return;
    }
    counts->events++;
    uint64_t taken_us = now_us > sent_us ? now_us - sent_us : 0;
    counts->histogram[bucket_of(taken_us)]++;
    if (taken_us > counts->slowest_us)
        counts->slowest_us = taken_us;
    if (client->first == 0) {
        client->first = client->last = seq;
    } else if (seq == client->last + 1) {
        client->last = seq;
    } else if (seq > client->last) {
        counts->missing += seq - client->last - 1;
        client->last = seq;
    } else if (seq == client->last) {
        counts->repeated++;
    } else {
        counts->reordered++;
    }
}

/* ---- Sockets ------------------------------------------------------------------------------------------------- */

static void answer_open(void)
{
    struct opening *opening = &load.opening;
    printf("{\"joined\":%u,\"refused\":%u,\"reason\":\"%s\",\"seconds\":%.6f}\n", opening->joined, opening->refused,
           opening->reason, (double)(clock_ns(CLOCK_MONOTONIC) - opening->began_ns) / 1e9);
    opening->under_way = false;
    free(opening->lines);
    free(opening->text);
    opening->lines = NULL;
    opening->text = NULL;
}

static void end(struct client *client)
{
    if (client->state == CLOSED)
        return;
    client->state = CLOSED;
    close(client->fd);
    free(client->rest);
    client->rest = NULL;
    client->rest_bytes = client->rest_room = 0;
}

/* Ends a client that was refused or lost; `reason` need not end with a zero. */
static void lose(struct client *client, const void *reason, size_t bytes)
{
    struct opening *opening = &load.opening;
    if (client->state == JOINED) {
        load.counts.closed++;
    } else if (client->state != CLOSED) {
        const char *text = reason;
        for (size_t at = 0; opening->refused == 0 && at < bytes && at + 1 < sizeof opening->reason; at++) {
            bool plain = text[at] >= ' ' && text[at] <= '~' && text[at] != '"' && text[at] != '\\';
            opening->reason[at] = plain ? text[at] : '?';
            opening->reason[at + 1] = '\0';
        }
        opening->refused++;
    }
    end(client);
}

static void lose_by_errno(struct client *client)
{
    const char *reason = strerror(errno);
    lose(client, reason, strlen(reason));
}

static void send_all(struct client *client, const void *data, size_t bytes)
{
    if (send(client->fd, data, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        lose_by_errno(client);
}

/* A client's frame is masked (RFC 6455, section 5.3); a mask of zeros leaves the payload as it is. */
static void send_frame(struct client *client, uint8_t opcode, const void *payload, size_t bytes)
{
    uint8_t frame[8 + MOST_LINE_BYTES] = {0x80u | opcode};
    size_t head = 6;
    if (bytes > MOST_LINE_BYTES)
        die("a frame of %zu bytes is too large to send", bytes);
    if (bytes < 126) {
        frame[1] = 0x80u | (uint8_t)bytes;
    } else {
        frame[1] = 0x80u | 126u;
        frame[2] = (uint8_t)(bytes >> 8);
        frame[3] = (uint8_t)bytes;
        head = 8;
    }
    memcpy(frame + head, payload, bytes);
    send_all(client, frame, head + bytes);
}

static void has_joined(struct client *client)
{
    client->state = JOINED;
    load.opening.joined++;
}

static bool contains(const uint8_t *data, size_t bytes, const char *text)
{
    return memmem(data, bytes, text, strlen(text)) != NULL;
}

static const uint8_t *find_stamp(const uint8_t *payload, size_t bytes)
{
    size_t place = load.usual_place;
    if (place + STAMP_BYTES <= bytes && memcmp(payload + place, MARK, MARK_BYTES) == 0)
        return payload + place + MARK_BYTES;
    const uint8_t *found = memmem(payload, bytes, MARK, MARK_BYTES);
    if (found == NULL || (size_t)(found - payload) + STAMP_BYTES > bytes)
        return NULL;
    load.usual_place = (size_t)(found - payload);
    return found + MARK_BYTES;
}

static void take_payload(struct client *client, const uint8_t *payload, size_t bytes, uint64_t now_us)
{
    const uint8_t *stamp = find_stamp(payload, bytes);
    if (client->state == JOINING && contains(payload, bytes, load.joined_by))
        has_joined(client);
    if (stamp == NULL) {
        load.counts.others++;
        return;
    }
    count_event(client, stamp, now_us);
    if (!load.speaks_nats)
        return; /* a frame is one event */
    const uint8_t *past = payload + bytes;
    while ((stamp = memmem(stamp, (size_t)(past - stamp), MARK, MARK_BYTES)) != NULL && past - stamp >= STAMP_BYTES) {
        stamp += MARK_BYTES;
        count_event(client, stamp, now_us);
    }
}

/* Takes the whole frames that `data` begins with; returns their size. */
static size_t take_frames(struct client *client, const uint8_t *data, size_t size, uint64_t now_us)
{
    size_t at = 0;
    while (size - at >= 2) {
        const uint8_t *frame = data + at;
        size_t head = 2, bytes = frame[1];
        if (bytes == 126) {
            if (size - at < 4)
                break;
            bytes = (size_t)frame[2] << 8 | frame[3];
            head = 4;
        } else if (bytes == 127) {
            if (size - at < 10)
                break;
            bytes = (size_t)frame[6] << 24 | (size_t)frame[7] << 16 | (size_t)frame[8] << 8 | frame[9];
            head = 10;
            if (frame[2] | frame[3] | frame[4] | frame[5])
                bytes = SIZE_MAX;
        }
        if (bytes > MOST_FRAME_BYTES || (frame[1] & 0x80)) { /* a server's frame is not masked */
            load.counts.broken++;
            lose(client, "a broken frame", 14);
            return size;
        }
        if (size - at - head < bytes)
            break;
        switch (frame[0]) {
        case 0x81:
        case 0x82:
            take_payload(client, frame + head, bytes, now_us);
            break;
        case 0x88:
            lose(client, "a close frame", 13);
            break;
        case 0x89:
            send_frame(client, 0xA, frame + head, bytes < 126 ? bytes : 125);
            break;
        case 0x8A:
            break;
        default:
            load.counts.broken++;
        }
        if (client->state == CLOSED)
            return size;
        at += head + bytes;
    }
    return at;
}

static void shake_hands(struct client *client)
{
    const struct line *line = &load.opening.lines[client->line];
    char request[MOST_LINE_BYTES + 512];
    bool has_protocol = strcmp(line->protocol, "-") != 0;
    int bytes = snprintf(request, sizeof request,
                         "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n%s%s%s\r\n",
                         line->path, load.port, NONCE, has_protocol ? "Sec-WebSocket-Protocol: " : "",
                         has_protocol ? line->protocol : "", has_protocol ? "\r\n" : "");
    if (bytes < 0 || (size_t)bytes >= sizeof request)
        die("a line of the file is too long");
    client->state = SHAKING;
    send_all(client, request, (size_t)bytes);
}

static void follow_by_nats(struct client *client)
{
    char text[1024];
    int bytes = snprintf(text, sizeof text,
                         "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n"
                         "SUB %s 1\r\nPING\r\n",
                         load.opening.lines[client->line].subject);
    if (bytes < 0 || (size_t)bytes >= sizeof text)
        die("a subject is too long");
    send_frame(client, 0x2, text, (size_t)bytes);
}

/* Takes the head of the answer to the handshake once it is whole; returns its size. */
static size_t take_head(struct client *client, const uint8_t *data, size_t size)
{
    const uint8_t *past = memmem(data, size, "\r\n\r\n", 4);
    if (past == NULL) {
        if (size > MOST_HEAD_BYTES)
            lose(client, "an endless head", 15);
        return 0;
    }
    size_t head = (size_t)(past - data) + 4;
    if (size < 12 || memcmp(data, "HTTP/1.1 101", 12) != 0 || !contains(data, head, ACCEPT)) {
        lose(client, data, (size_t)((const uint8_t *)memchr(data, '\r', size) - data));
        return size;
    }
    client->state = JOINING;
    if (load.speaks_nats)
        follow_by_nats(client);
    else if (load.joined_by == NULL)
        has_joined(client);
    return head;
}

static void keep_rest(struct client *client, const uint8_t *data, size_t bytes)
{
    if (bytes > client->rest_room) {
        client->rest = grown(client->rest, bytes);
        client->rest_room = (uint32_t)bytes;
    }
    if (bytes > 0)
        memcpy(client->rest, data, bytes);
    client->rest_bytes = (uint32_t)bytes;
}

static void receive(struct client *client)
{
    size_t have = client->rest_bytes;
    if (have > 0)
        memcpy(load.buffer, client->rest, have);
    ssize_t got = recv(client->fd, load.buffer + have, READ_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        lose_by_errno(client);
        return;
    }
    if (got == 0) {
        lose(client, "closed by the server", 20);
        return;
    }
    uint64_t now_us = clock_ns(CLOCK_MONOTONIC) / 1000;
    size_t size = have + (size_t)got, taken = 0;
    load.counts.bytes += (uint64_t)got;
    if (client->state == SHAKING)
        taken = take_head(client, load.buffer, size);
    if (client->state == JOINING || client->state == JOINED)
        taken += take_frames(client, load.buffer + taken, size - taken, now_us);
    if (client->state != CLOSED)
        keep_rest(client, load.buffer + taken, size - taken);
}

static void connect_one(uint32_t line)
{
    if (load.client_count == MOST_CLIENTS)
        die("more than %d sockets", MOST_CLIENTS);
    if (load.client_count == load.client_room) {
        load.client_room = load.client_room ? 2 * load.client_room : 1024;
        load.clients = grown(load.clients, load.client_room * sizeof *load.clients);
    }
    uint32_t index = load.client_count++;
    struct client *client = &load.clients[index];
    *client = (struct client){.line = line, .state = CONNECTING};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        die("socket: %s", strerror(errno));
    int yes = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)load.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        lose_by_errno(client);
        return;
    }
    struct epoll_event wanted = {.events = EPOLLOUT, .data.u32 = index};
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, client->fd, &wanted) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void connected(struct client *client, uint32_t index)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        errno = error;
        lose_by_errno(client);
        return;
    }
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(load.epoll, EPOLL_CTL_MOD, client->fd, &wanted) < 0)
        die("epoll_ctl: %s", strerror(errno));
    shake_hands(client);
}

static void go_on_opening(void)
{
    struct opening *opening = &load.opening;
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - opening->began_ns) / 1e9;
    while (opening->started < opening->count && opening->started <= seconds * opening->rate &&
           opening->started - opening->joined - opening->refused < opening->most_unfinished)
        connect_one(opening->started++);
    if (opening->joined + opening->refused == opening->count)
        answer_open();
}

/* ---- Commands ------------------------------------------------------------------------------------------------ */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) < 0)
        die("%s: %s", path, strerror(errno));
    long size = ftell(file);
    rewind(file);
    char *text = grown(NULL, (size_t)size + 1);
    if (size < 0 || fread(text, 1, (size_t)size, file) != (size_t)size)
        die("%s: %s", path, strerror(errno));
    text[size] = '\0';
    fclose(file);
    return text;
}

static void begin_opening(const char *path, double rate, unsigned most_unfinished)
{
    struct opening *opening = &load.opening;
    if (opening->under_way)
        die("open: the last one is still under way");
    if (rate <= 0 || most_unfinished == 0)
        die("open: a rate and a number above 0 are needed");
    *opening = (struct opening){.under_way = true, .rate = rate, .most_unfinished = most_unfinished};
    opening->text = read_file(path);
    uint32_t room = 0;
    char *rest = opening->text, *text;
    while ((text = strsep(&rest, "\n")) != NULL) {
        if (*text == '\0')
            continue;
        if (opening->count == room)
            opening->lines = grown(opening->lines, (room = room ? 2 * room : 1024) * sizeof *opening->lines);
        struct line *line = &opening->lines[opening->count++];
        line->path = strsep(&text, "\t");
        line->protocol = strsep(&text, "\t");
        line->subject = strsep(&text, "\t");
        if (line->subject == NULL)
            die("open: line %u of %s does not hold path, subprotocol and subject", opening->count, path);
    }
    opening->began_ns = clock_ns(CLOCK_MONOTONIC);
}

static void mark(void)
{
    memset(&load.counts, 0, sizeof load.counts);
    load.counts.began_ns = clock_ns(CLOCK_MONOTONIC);
    load.counts.began_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void report(void)
{
    const struct counts *counts = &load.counts;
    uint64_t first_least = UINT64_MAX, first_most = 0, last_least = UINT64_MAX, last_most = 0, sockets = 0;
    for (uint32_t index = 0; index < load.client_count; index++) {
        const struct client *client = &load.clients[index];
        if (client->state != JOINED)
            continue;
        sockets++;
        first_least = client->first < first_least ? client->first : first_least;
        first_most = client->first > first_most ? client->first : first_most;
        last_least = client->last < last_least ? client->last : last_least;
        last_most = client->last > last_most ? client->last : last_most;
    }
    if (sockets == 0)
        first_least = last_least = 0;
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - counts->began_ns) / 1e9;
    double cpu_seconds = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - counts->began_cpu_ns) / 1e9;
    printf("{\"sockets\":%" PRIu64 ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"others\":%" PRIu64
           ",\"broken\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"missing\":%" PRIu64
           ",\"closed\":%" PRIu64 ",\"first_least\":%" PRIu64 ",\"first_most\":%" PRIu64 ",\"last_least\":%" PRIu64
           ",\"last_most\":%" PRIu64 ",\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64 ",\"slowest_us\":%" PRIu64
           ",\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n",
           sockets, counts->events, counts->bytes, counts->others, counts->broken, counts->repeated, counts->reordered,
           counts->missing, counts->closed, first_least, first_most, last_least, last_most, percentile_us(0.5),
           percentile_us(0.99), counts->slowest_us, seconds, cpu_seconds);
}

static void close_all(void)
{
    for (uint32_t index = 0; index < load.client_count; index++)
        end(&load.clients[index]);
    printf("{\"closed\":%u}\n", load.client_count);
    load.client_count = 0;
}

static void obey(char *command)
{
    char path[MOST_LINE_BYTES];
    double rate;
    unsigned most_unfinished;
    if (sscanf(command, "open %4095s %lf %u", path, &rate, &most_unfinished) == 3)
        begin_opening(path, rate, most_unfinished);
    else if (strcmp(command, "mark") == 0)
        mark();
    else if (strcmp(command, "report") == 0)
        report();
    else if (strcmp(command, "close") == 0 && !load.opening.under_way)
        close_all();
    else
        die("no such command: %.80s", command);
}

static void take_commands(void)
{
    ssize_t got = read(STDIN_FILENO, load.command + load.command_bytes, sizeof load.command - load.command_bytes);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        exit(0);
    load.command_bytes += (size_t)got;
    char *end_of_line;
    while ((end_of_line = memchr(load.command, '\n', load.command_bytes)) != NULL) {
        *end_of_line = '\0';
        obey(load.command);
        size_t used = (size_t)(end_of_line - load.command) + 1;
        load.command_bytes -= used;
        memmove(load.command, load.command + used, load.command_bytes);
    }
    if (load.command_bytes == sizeof load.command)
        die("a command is too long");
}

static void serve(void)
{
    struct epoll_event events[EVENTS_AT_A_TIME];
    for (;;) {
        int count = epoll_wait(load.epoll, events, EVENTS_AT_A_TIME, load.opening.under_way ? 1 : -1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        bool is_asked = false;
        for (int at = 0; at < count; at++) {
            uint32_t index = events[at].data.u32;
            if (index == STDIN_TAG) {
                is_asked = true; /* after the sockets: a command may close those that this turn tells of */
                continue;
            }
            struct client *client = &load.clients[index];
            if (client->state == CONNECTING)
                connected(client, index);
            else if (client->state != CLOSED)
                receive(client);
        }
        if (is_asked)
            take_commands();
        if (load.opening.under_way)
            go_on_opening();
        fflush(stdout);
        if (load.rests && !load.opening.under_way)
            clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = REST_NS}, NULL);
    }
}

int main(int count, char **arguments)
{
    for (int at = 1; at < count; at++) {
        if (strcmp(arguments[at], "--nats") == 0)
            load.speaks_nats = true;
        else if (strcmp(arguments[at], "--rests") == 0)
            load.rests = true;
        else if (strcmp(arguments[at], "--joined-by") == 0 && at + 1 < count)
            load.joined_by = arguments[++at];
        else
            load.port = atoi(arguments[at]);
    }
    if (load.port < 1 || load.port > 65535)
        die("usage: load PORT [--joined-by TEXT] [--nats]");
    if (load.speaks_nats)
        load.joined_by = "PONG";
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = STDIN_TAG};
    if (load.epoll < 0 || fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &wanted) < 0)
        die("standard input must be a pipe: %s", strerror(errno));
    mark();
    serve();
}
