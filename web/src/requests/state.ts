/** Which requests are shown, as it stands in the address. */

export const states = ['pending', 'approved', 'denied'] as const
export interface RequestsSearch {
  readonly state?: (typeof states)[number]
}

export function readState(search: Readonly<Record<string, unknown>>): RequestsSearch {
  const state = states.find((each) => each === search.state)
  return state === undefined ? {} : { state }
}
