/** `tsh clusters`: the cluster of the login; trusted clusters will follow it in the list. */

import { getStatus } from '../../../api/routes.ts'
import { formatTable } from '../../../common/text.ts'
import { ConnectionProblem } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAuthApi } from '../auth-api.ts'
import { activeLogin, wantedFrom } from '../login-state.ts'

export const clusters: CommandRun = async ({ options }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  const name = login.profile.cluster
  const online = await withAuthApi(login, async (api) => {
    await api.call(getStatus)
    return true
  }).catch((error: unknown) => {
    if (error instanceof ConnectionProblem) return false
    throw error
  })
  const rows = [{ name, status: online ? 'online' : 'offline', type: 'root', selected: true }]
  await print(options.string('format'), rows, () =>
    options.flag('quiet')
      ? `${printable(name)}\n`
      : formatTable(
          ['Cluster Name', 'Status', 'Cluster Type', 'Selected'],
          rows.map((row) => [row.name, row.status, row.type, row.selected ? '*' : '']),
        ),
  )
  return 0
}
