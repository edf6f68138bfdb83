/** `tsh request`: asking for roles, seeing what was asked, reviewing. */

import type { AccessRequestRecord } from '../../../api/request-model.ts'
import { getAccessRequest, listAccessRequests, reviewAccessRequest } from '../../../api/routes.ts'
import { formatPairs, formatTable } from '../../../common/text.ts'
import { BadParameter, MissingParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'
import { shortTime } from '../../common/time.ts'
import { withAuthApi } from '../auth-api.ts'
import { publicKeyLine } from '../keys.ts'
import { addToAgent, agentWanted } from '../local-agent.ts'
import { activeLogin, openLogin, wantedFrom } from '../login-state.ts'
import { prepareHome, saveLogin } from '../profile.ts'
import { ask, askAndWait, elevate } from '../request/elevate.ts'
import { tshHome } from '../store.ts'
import { loginBlock } from './status.ts'

const list = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

export const requestNew: CommandRun = async ({ options }) => {
  const roles = list(options.string('roles'))
  if (roles.length === 0)
    throw new MissingParameter('--roles', 'name the roles: --roles=a,b, or * for all you may ask for')
  const wanted = { roles, reason: options.string('reason') ?? '', reviewers: list(options.string('reviewers')) }
  const login = activeLogin(wantedFrom(options), new Date())
  if (options.flag('nowait')) {
    const { id } = await withAuthApi(login, (api) => ask(api, wanted))
    process.stdout.write(`${id}\n`)
    process.stderr.write(`Once it is approved: tsh login --request-id=${id}\n`)
    return 0
  }
  if (!login.fromFile) prepareHome(tshHome(), login.profile.proxyHost)
  const request = await askAndWait(login, wanted)
  if (login.fromFile) {
    process.stdout.write(`${request.id}\n`)
    return 0
  }
  const stored = await elevate(login, request)
  const active = openLogin(stored, false)
  saveLogin(tshHome(), stored, publicKeyLine(active.key.publicKey))
  if (agentWanted(options)) await addToAgent(active, new Date())
  process.stdout.write(loginBlock(active, new Date(), true))
  return 0
}

export const requestLs: CommandRun = async ({ options }) => {
  const found = await withAuthApi(activeLogin(wantedFrom(options), new Date()), async (api) => {
    const all: AccessRequestRecord[] = []
    let after: string | undefined
    do {
      const page = await api.call(listAccessRequests, { query: after === undefined ? {} : { after } })
      all.push(...page.items)
      after = page.next
    } while (after !== undefined)
    return all.sort((a, b) => (a.created < b.created ? 1 : -1))
  })
  await print(options.string('format'), found, () =>
    formatTable(
      ['ID', 'User', 'Roles', 'Created (UTC)', 'Status'],
      found.map(({ id, user, roles, created, state }) => [
        id,
        user,
        roles.join(','),
        shortTime(new Date(created)),
        state.toUpperCase(),
      ]),
    ),
  )
  if (options.string('format') === undefined)
    process.stderr.write(
      "hint: use 'tsh request show ID' for details, 'tsh login --request-id=ID' to log in with an approved one\n",
    )
  return 0
}

export const requestShow: CommandRun = async ({ options, args }) => {
  const [id = ''] = args
  const login = activeLogin(wantedFrom(options), new Date())
  const request = await withAuthApi(login, (api) => api.call(getAccessRequest, { params: { id } }))
  await print(options.string('format'), request, () => describe(request))
  return 0
}

function describe(request: AccessRequestRecord): string {
  const rows: (readonly [string, string])[] = [
    ['Request ID:', request.id],
    ['User:', request.user],
    ['Roles:', request.roles.join(', ')],
    ['Reason:', request.reason === '' ? '[none]' : printable(request.reason)],
    ['Reviewers:', request.suggestedReviewers.length === 0 ? '[none]' : request.suggestedReviewers.join(', ')],
    ['Status:', request.state.toUpperCase()],
    ['Roles end:', shortTime(new Date(request.expires))],
    ...(request.resolveReason === '' ? [] : [['Resolve Reason:', printable(request.resolveReason)] as const]),
  ]
  if (request.reviews.length === 0) return formatPairs(rows)
  const reviews = request.reviews.map(({ author, approve, reason, created }) => [
    author,
    approve ? 'APPROVED' : 'DENIED',
    shortTime(new Date(created)),
    reason,
  ])
  return `${formatPairs(rows)}\n${formatTable(['Reviewer', 'Verdict', 'At (UTC)', 'Reason'], reviews)}`
}

export const requestReview: CommandRun = async ({ options, args }) => {
  const [id = ''] = args
  const [approve, deny] = [options.flag('approve'), options.flag('deny')]
  if (approve === deny) throw new BadParameter('--approve', 'say either --approve or --deny')
  const login = activeLogin(wantedFrom(options), new Date())
  const body = { approve, reason: options.string('reason') ?? '' }
  const request = await withAuthApi(login, (api) => api.call(reviewAccessRequest, { params: { id }, body }))
  process.stderr.write(`Your review counts; the request is ${request.state}.\n`)
  return 0
}
