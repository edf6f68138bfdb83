/** What a decision costs: 50 roles, a node with 20 labels, against reading those roles as JSON once, in the same process. */

import { decideLogin } from '../src/access/decide.ts'
import { roleSchema, roleToResource } from '../src/access/schema.ts'
import type { Labels, Role } from '../src/access/types.ts'
import type { Row } from './rows.ts'
import { median } from './statistics.ts'

const ROLES = 50
const LABELS = 20

/** Each with a denial and a selector of several labels that come to nothing; the last one allows, so that all are looked at. */
function manyRoles(): readonly Role[] {
  return Array.from({ length: ROLES }, (_, index) =>
    roleSchema.parse({
      kind: 'role',
      version: 'v4',
      metadata: { name: `role-${index}` },
      spec: {
        allow: {
          logins: ['{{internal.logins}}', `svc-${index}`],
          node_labels:
            index === ROLES - 1
              ? { 'label-1': 'value-1', 'label-2': '^value-[0-9]+$' }
              : {
                  'label-1': ['value-*'],
                  'label-2': '^value-[0-9]+$',
                  'label-3': [`other-${index}`, '{{external.team}}'],
                },
        },
        deny: { logins: ['nobody'], node_labels: { 'label-4': [`other-${index}`], 'label-5': '^never-.*$' } },
      },
    }),
  )
}

/** Microseconds of one call: the median of batches. */
function costOf(run: () => void, calls: number, batches: number): number {
  const batch = (): number => {
    const start = process.hrtime.bigint()
    for (let call = 0; call < calls; call++) run()
    return Number(process.hrtime.bigint() - start) / 1000 / calls
  }
  for (let warm = 0; warm < 3; warm++) batch()
  return median(Array.from({ length: batches }, batch))
}

export const accessRows: readonly Row[] = [
  {
    name: 'decision',
    title: `an access decision with ${ROLES} roles and ${LABELS} labels, against \`JSON.parse\` of the roles`,
    goal: { is: 'at most', value: 1 },
    measure: async ({ quick }) => {
      const roles = manyRoles()
      const json = JSON.stringify(roles.map(roleToResource))
      const nodeLabels: Labels = Object.fromEntries(
        Array.from({ length: LABELS }, (_, index) => [`label-${index}`, `value-${index}`]),
      )
      const ask = { roles, traits: { logins: ['al', 'ops'], team: ['db', 'web'] }, login: 'ops', nodeLabels }
      if (decideLogin(ask).role !== `role-${ROLES - 1}`) throw new Error('the last role should decide')
      const batches = quick ? 5 : 21
      return {
        ours: costOf(() => decideLogin(ask), 200, batches) / 1000,
        theirs: costOf(() => JSON.parse(json), 200, batches) / 1000,
        unit: 'ms',
      }
    },
  },
]
