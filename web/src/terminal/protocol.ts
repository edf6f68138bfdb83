/** What page and proxy say to each other about a terminal. The words are those of `src/api/web-app.ts`, of which the page takes types only. */

import type * as app from '../../../src/api/web-app.ts'

export type { TerminalNotice, TerminalRequest } from '../../../src/api/web-app.ts'

export const terminalPath: typeof app.terminalPath = '/webapi/terminal'
export const terminalProtocol: typeof app.terminalProtocol = 'teleport.terminal.v1'
export const terminalLeft: typeof app.terminalLeft = 1000
export type { FileNotice } from '../../../src/api/web-app.ts'

export const filesPath: typeof app.filesPath = '/webapi/files'
export const filesProtocol: typeof app.filesProtocol = 'teleport.files.v1'
