/** `spec.options` of a role, with the defaults of Teleport 7. */

import { z } from 'zod'
import { oneOf, parsedBy, strictObject, yamlBool, yamlString, yamlStrings } from '../../common/yaml.ts'
import { MAX_SESSION_TTL_SECONDS } from '../decide.ts'
import { parseForwardRule } from '../forward-rules.ts'
import type { RoleOptions } from '../types.ts'
import { asList, checkedBy, count, duration, LATER, OTHER_PROTOCOL } from './fields.ts'

const MAX_SESSION_TTL_MS = MAX_SESSION_TTL_SECONDS * 1000
const MAX_GRANT_TTL_MS = 12 * 3_600_000

/** As the original writes it, an empty text is the default. */
const orElse = <const Words extends readonly [string, ...string[]]>(otherwise: Words[number], words: Words) =>
  z.preprocess((value) => (value === '' ? otherwise : value), oneOf(words))

const prompt = yamlString.refine((text) => text.length <= 1000, { message: 'is longer than 1000 characters' })

export const options = strictObject(
  {
    max_session_ttl: duration.optional(),
    forward_agent: yamlBool.optional(),
    port_forwarding: yamlBool.optional(),
    forward_to: z.preprocess(asList, z.array(parsedBy(checkedBy(parseForwardRule))).max(1000)).optional(),
    permit_x11_forwarding: yamlBool.optional(),
    cert_format: oneOf(['standard', 'oldssh', ''])
      .refine((format) => format !== 'oldssh', { message: LATER })
      .optional(),
    // What the original writes by itself; recordings of kernel events do not exist here.
    enhanced_recording: yamlStrings.optional(),
    client_idle_timeout: duration.optional(),
    disconnect_expired_cert: yamlBool.optional(),
    max_connections: count.optional(),
    max_sessions: count.optional(),
    ssh_file_copy: yamlBool.optional(),
    record_session: strictObject(
      {
        default: oneOf(['strict', 'best_effort']).optional(),
        ssh: oneOf(['strict', 'best_effort']).optional(),
        exec_output: yamlBool.optional(),
      },
      { desktop: OTHER_PROTOCOL },
    ).optional(),
    require_session_mfa: yamlBool.optional(),
    session_mfa_grant_ttl: duration
      .refine((ms) => ms <= MAX_GRANT_TTL_MS, { message: 'must be at most 12h' })
      .optional(),
    request_access: orElse('optional', ['optional', 'always', 'reason']).optional(),
    request_prompt: prompt.optional(),
    lock: orElse('best_effort', ['strict', 'best_effort']).optional(),
    pin_source_ip: yamlBool.optional(),
    create_host_user: yamlBool.optional(),
  },
  { max_kubernetes_connections: OTHER_PROTOCOL },
)

export function completeOptions(input: z.output<typeof options> = {}): RoleOptions {
  const recording = input.record_session
  return {
    max_session_ttl: input.max_session_ttl || MAX_SESSION_TTL_MS,
    forward_agent: input.forward_agent ?? false,
    port_forwarding: input.port_forwarding ?? true,
    forward_to: input.forward_to ?? [],
    permit_x11_forwarding: input.permit_x11_forwarding ?? false,
    client_idle_timeout: input.client_idle_timeout ?? 0,
    disconnect_expired_cert: input.disconnect_expired_cert ?? false,
    max_connections: input.max_connections ?? 0,
    max_sessions: input.max_sessions ?? 0,
    ssh_file_copy: input.ssh_file_copy ?? true,
    record_session: {
      default: recording?.ssh ?? recording?.default ?? 'best_effort',
      exec_output: recording?.exec_output ?? false,
    },
    require_session_mfa: input.require_session_mfa ?? false,
    session_mfa_grant_ttl: input.session_mfa_grant_ttl ?? 0,
    lock: input.lock ?? 'best_effort',
    request_access: input.request_access ?? 'optional',
    request_prompt: input.request_prompt ?? '',
    pin_source_ip: input.pin_source_ip ?? false,
    create_host_user: input.create_host_user ?? false,
  }
}
