/** What a session says about itself, fit for a recording; and a tap for those of which nothing is kept. */

import type { RecordingHeader } from '../../audit/recording/types.ts'
import type { SessionTap, TapOptions } from './types.ts'

const MAX_TEXT = 4096

/** What auth would refuse for its length. */
export function boundedHeader(header: RecordingHeader): RecordingHeader {
  const { user, login, serverHostname, command, term } = header
  return {
    ...header,
    user: user.slice(0, MAX_TEXT),
    login: login.slice(0, MAX_TEXT),
    serverHostname: serverHostname.slice(0, MAX_TEXT),
    ...(command === undefined ? {} : { command: command.slice(0, MAX_TEXT) }),
    ...(term === undefined ? {} : { term: term.slice(0, 256) }),
  }
}

/** Of a command of which nothing is kept. */
export function silentTap({ header: { columns, rows } }: TapOptions): SessionTap {
  return {
    output: () => undefined,
    resize() {},
    mark() {},
    screen: async () => ({ columns, rows, data: '' }),
    end: async () => {},
  }
}
