/**
 * Whether one may go on from where a topic stands.
 *
 * @param {Shared} shared
 * @param {Hold} hold
 */
export function isCovered(shared: Shared, hold: Hold): boolean;
/**
 * A topic was asked for its newest events: who lacks something before them, or of other types, is to be asked for next.
 *
 * @param {Shared} shared
 * @param {Record<string, string>} cursors  where these events begin
 */
export function putOff(shared: Shared, cursors: Record<string, string>): void;
/**
 * Where one knew nothing of a stream, nothing before its greeting is shown.
 *
 * @param {Hold} hold
 * @param {Record<string, string>} cursors  of the greeting
 */
export function stand(hold: Hold, cursors: Record<string, string>): void;
/**
 * From where on nobody lacks anything.
 *
 * @param {Map<string, Hold>} holds
 */
export function oldest(holds: Map<string, Hold>): string;
export function byLetter(since: string): Record<string, string>;
/**
 * One's hold on a topic.
 */
export type Hold = {
    /**
     * not asked for yet; asked for, and catching up; up to date
     */
    state: "waiting" | "behind" | "live";
    /**
     * what one was shown; null where one begins with the newest events
     */
    positions: Positions | null;
    history?: number | undefined;
    types?: string[] | undefined;
};
export type Shared = {
    /**
     * by client
     */
    holds: Map<string, Hold>;
    /**
     * the server was asked for it, and has not caught up yet
     */
    isAsked: boolean;
    /**
     * it was asked for its newest events: others may lack what is older
     */
    isByHistory: boolean;
    isLive: boolean;
    /**
     * what it carries
     */
    types?: string[] | undefined;
    /**
     * up to where it was shown
     */
    positions: Positions;
};
import { Positions } from "./positions.js";
