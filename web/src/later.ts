/**
 * Parts of a page that are loaded when somebody wants them, such as menus. What is there stays until they have come, and goes on
 * working when they cannot: the proxy may be away, or another version of it have come back.
 */

import { useCallback, useState } from 'react'

export interface Later<T> {
  readonly part: T | undefined
  /** Once it is there, draws it. Does nothing else when it does not come, so that one may try again. */
  want(): void
  /** Fetches it for somebody who seems about to want it. */
  expect(): void
}

export function useLater<T>(load: () => Promise<T>): Later<T> {
  // In an object, since what is loaded is a function.
  const [loaded, setLoaded] = useState<{ readonly part: T }>()
  return {
    part: loaded?.part,
    want: useCallback(
      () =>
        void load().then(
          (part) => setLoaded({ part }),
          () => undefined,
        ),
      [load],
    ),
    expect: useCallback(() => void load().catch(() => undefined), [load]),
  }
}
