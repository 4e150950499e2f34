/**
 * What a token says.
 *
 * @param {string} token  a JSON Web Token
 * @returns {Record<string, any>} nothing where it is none
 */
export function claimsOf(token: string): Record<string, any>;
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
