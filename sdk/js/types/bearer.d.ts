/**
 * Until when a token is good.
 *
 * @param {string} token  a JSON Web Token
 * @returns {number} milliseconds since 1970 on the clock of who made it; NaN where it does not say
 */
export function expiryOf(token: string): number;
export class Bearer {
    /**
     * @param {import("./line.js").LineOptions["getToken"]} getToken
     * @param {(token: string) => void} show  to the server, over the connection that there is
     */
    constructor(getToken: import("./line.js").LineOptions["getToken"], show: (token: string) => void);
    /** Ask for a token to connect with. */
    ask(): Promise<string | null | undefined>;
    /**
     * The token was taken.
     *
     * @param {string} [timestamp]  on the server's clock, which counts: this machine's may be wrong
     */
    taken(timestamp?: string): void;
    /** It is not to be renewed, for now. */
    stop(): void;
    #private;
}
