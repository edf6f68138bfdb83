/** `tsh recordings`: lists recordings and takes copies of them. */

import type { CommandRun } from '../../common/spec.ts'
import { withAuthApi } from '../auth-api.ts'
import { activeLogin, wantedFrom } from '../login-state.ts'
import { exportRecording } from '../play/export-recording.ts'
import { printRecordings } from '../play/list-recordings.ts'

export const recordingsLs: CommandRun = async ({ options }) => {
  const now = new Date()
  // --user is whose recordings are asked for; who asks is said by the environment.
  const login = activeLogin({ ...wantedFrom(options), user: process.env.TELEPORT_USER || undefined }, now)
  return await withAuthApi(login, (api) => printRecordings(api, options, 'tsh', now))
}

export const recordingsExport: CommandRun = async ({ options, args }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  return await withAuthApi(login, (api) => exportRecording(api, options, args[0] ?? ''))
}
