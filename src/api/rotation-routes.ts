/** Routes for the replacement of the authorities' keys (docs/rotation.md). */

import { z } from 'zod'
import { endpoint } from './define.ts'
import { authority, serverRole } from './model.ts'

const authorityType = z.enum(['user', 'host'])

/** A machine that has to take a step before the old keys can go. */
const straggler = z.strictObject({
  uuid: z.uuid(),
  role: serverRole,
  hostname: z.string(),
  reason: z.string(),
})
export type Straggler = z.infer<typeof straggler>

const rotationReport = z.strictObject({
  authorities: z.array(authority),
  /** Machines that are there and would be locked out if the rotation ended now; at most 100 of them. */
  waitingFor: z.array(straggler),
  waitingForCount: z.number().int(),
})
export type RotationReport = z.infer<typeof rotationReport>

export const rotateAuthorities = endpoint({
  method: 'POST',
  path: '/v1/authorities/rotate',
  summary: 'Begins the replacement of the authorities by new ones, or takes it to another phase',
  callers: ['Admin', 'User'],
  userRule: { resource: 'cert_authority', verb: 'rotate' },
  body: z.strictObject({
    /** Both when absent. */
    type: authorityType.optional(),
    mode: z.enum(['auto', 'manual']),
    phase: z.enum(['init', 'update_clients', 'update_servers', 'standby', 'rollback']).default('init'),
    /** In automatic mode: how long the old authority is still trusted. 0: not at all. Default 30 hours. */
    gracePeriodSeconds: z.number().int().nonnegative().max(31_536_000).optional(),
    /** Ends the rotation though machines are left that have not followed it; they must join again. */
    force: z.boolean().default(false),
  }),
  output: rotationReport,
})
export const getRotation = endpoint({
  method: 'GET',
  path: '/v1/authorities/rotation',
  summary: 'How far the authorities and the machines are',
  callers: ['Admin', 'User'],
  userRule: { resource: 'cert_authority', verb: 'read' },
  output: rotationReport,
})
