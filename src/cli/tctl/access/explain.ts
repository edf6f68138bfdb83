/** `tctl access explain USER LOGIN@NODE`: the decision that proxy and node would make, with every role's part in it. */

import type { AccessExplanation } from '../../../api/explain-routes.ts'
import { explainAccess } from '../../../api/routes.ts'
import { formatDuration } from '../../../common/durations.ts'
import { formatPairs, formatTable, quote } from '../../../common/text.ts'
import { BadParameter, MissingParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { withAdminApi } from '../connect.ts'

export const explain: CommandRun = async ({ options, args }) => {
  const [name = '', target = ''] = args
  const at = target.lastIndexOf('@')
  if (name === '' || target === '')
    throw new MissingParameter('user', 'say who and where: tctl access explain alice root@db-1')
  if (at < 1 || at === target.length - 1) {
    throw new BadParameter('target', `${quote(target)} is not LOGIN@NODE, such as root@db-1`)
  }
  const [login, nodeName] = [target.slice(0, at), target.slice(at + 1)]
  return await withAdminApi(options, async (api) => {
    const { items: answers } = await api.call(explainAccess, { query: { user: name, login, node: nodeName } })
    await print(options.string('format'), answers, () => answers.map(describe).join('\n'))
    return 0
  })
}

function describe(answer: AccessExplanation): string {
  const { user, login, node, nodeId, allow, reason, conditions = [], roles, missingRoles = [] } = answer
  const labels = Object.entries(answer.labels).map(([name, value]) => `${name}=${value}`)
  const head = formatPairs([
    ['User', user],
    ['Login', login],
    ['Node', `${node} (${nodeId})`],
    ['Labels', labels.sort().join(', ') || 'none'],
    ['Access', allow ? 'allowed' : 'denied'],
    ['Reason', reason],
    ...conditions.map((condition) => ['Rule', condition] as const),
    ...missingRoles.map((name) => ['Missing', `the user has the role ${name}, which does not exist`] as const),
  ])
  const table = formatTable(
    ['Role', 'Effect', 'Because'],
    roles.map(({ role, effect, because }) => [role, effect, because]),
  )
  return allow ? `${head}\n${table}\n${describeOptions(answer)}` : `${head}\n${table}`
}

function describeOptions({ options, sessionRecording, createHostUser }: AccessExplanation): string {
  const yes = (value: boolean): string => (value ? 'yes' : 'no')
  const limit = (value: number): string => (value === 0 ? 'any number' : String(value))
  const targets = options.forwardTo === undefined ? '' : `, to ${options.forwardTo.join(', ')}`
  const output = options.recordExecOutput ? ', with what commands print' : ''
  return formatPairs([
    ['Certificate lives', `at most ${formatDuration(options.sessionTtlSeconds * 1000)}`],
    ['Port forwarding', yes(options.portForwarding) + (options.portForwarding ? targets : '')],
    ['Agent forwarding', yes(options.agentForwarding)],
    ['X11 forwarding', yes(options.x11Forwarding)],
    ['File copy', yes(options.fileCopy)],
    ['Idle timeout', options.idleTimeoutMs === 0 ? 'none' : formatDuration(options.idleTimeoutMs)],
    ['Ends with the certificate', yes(options.disconnectExpiredCert)],
    ['Connections', limit(options.maxConnections)],
    ['Sessions a connection', options.maxSessions === 0 ? '10' : String(Math.min(options.maxSessions, 10))],
    ['Recording', `${sessionRecording}, ${options.recordStrict ? 'strict' : 'best effort'}${output}`],
    ['Second factor a session', yes(options.requireSessionMfa)],
    ['Locks', options.lock === 'strict' ? 'strict' : 'best effort'],
    ['Bound to an address', yes(options.pinSourceIp)],
    ['Makes the OS account', yes(createHostUser)],
  ])
}
