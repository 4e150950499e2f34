/** Time as it passes, for what shows how long ago something was. */

import { useEffect, useState } from "../vendor/preact.js";

/** Now, in milliseconds; whoever uses it is rendered anew so often. @param {number} everyMs */
export function useNow(everyMs) {
  const [now, tick] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => tick(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return Math.max(now, Date.now());
}
