/** `tctl recordings`: the same as `tsh recordings`, with the rights of the administrator. */

import type { CommandRun } from '../../common/spec.ts'
import { exportRecording } from '../../tsh/play/export-recording.ts'
import { printRecordings } from '../../tsh/play/list-recordings.ts'
import { withAdminApi } from '../connect.ts'

export const recordingsLs: CommandRun = async ({ options }) =>
  await withAdminApi(options, (api) => printRecordings(api, options, 'tctl', new Date()))

export const recordingsExport: CommandRun = async ({ options, args }) =>
  await withAdminApi(options, (api) => exportRecording(api, options, args[0] ?? ''))
