/** What outlives a reload of the page, in this window (`session`) or in this browser (`local`). Storage may be forbidden. */

/** @param {() => Storage} storage */
function keeper(storage) {
  return {
    /** @template T @param {string} name @param {T} otherwise @returns {T} */
    read(name, otherwise) {
      try {
        return JSON.parse(storage().getItem(`mesh:${name}`) ?? "null") ?? otherwise;
      } catch {
        return otherwise;
      }
    },
    /** @param {string} name @param {unknown} value */
    write(name, value) {
      try {
        if (value === undefined || value === null) storage().removeItem(`mesh:${name}`);
        else storage().setItem(`mesh:${name}`, JSON.stringify(value));
      } catch {
        // full or forbidden: it is known until the page is left
      }
    },
  };
}

export const session = keeper(() => sessionStorage);
export const local = keeper(() => localStorage);
