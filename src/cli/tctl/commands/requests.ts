/** `tctl requests …`: requests for roles, seen and decided by an administrator. */

import type { ApiClient } from '../../../api/client.ts'
import type { AccessRequestRecord } from '../../../api/request-model.ts'
import {
  createAccessRequest,
  deleteAccessRequest,
  getAccessRequest,
  listAccessRequests,
  resolveAccessRequest,
  reviewAccessRequest,
} from '../../../api/routes.ts'
import { formatTable, quote } from '../../../common/text.ts'
import { BadParameter, MissingParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'
import { shortTime } from '../../common/time.ts'
import { listOf } from '../arguments.ts'
import { withAdminApi } from '../connect.ts'
import { allPages } from '../pages.ts'

export const requestHeadings: readonly string[] = ['Token', 'Requestor', 'Metadata', 'Created At (UTC)'].concat([
  'Status',
  'Request Reason',
  'Resolve Reason',
])

export const requestRow = (request: AccessRequestRecord): readonly string[] => [
  request.id,
  request.user,
  `roles=${request.roles.join(',')}`,
  shortTime(new Date(request.created)),
  request.state.toUpperCase(),
  request.reason === '' ? '' : quote(request.reason),
  request.resolveReason === '' ? '' : quote(request.resolveReason),
]

const byNewest = (a: AccessRequestRecord, b: AccessRequestRecord): number => (a.created < b.created ? 1 : -1)

/** Ids, as many as there are, separated by commas. */
const idsOf = (args: readonly string[]): readonly string[] => listOf(args.join(','), 'request')

export const requestsLs: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const found = (await allPages((query) => api.call(listAccessRequests, { query }))).sort(byNewest)
    await print(options.string('format'), found, () => formatTable(requestHeadings, found.map(requestRow)))
    return 0
  })

export const requestsGet: CommandRun = ({ options, args }) =>
  withAdminApi(options, async (api) => {
    const found = await Promise.all(idsOf(args).map((id) => api.call(getAccessRequest, { params: { id } })))
    await print(options.string('format'), found, () => formatTable(requestHeadings, found.map(requestRow)))
    return 0
  })

const resolve =
  (state: 'approved' | 'denied'): CommandRun =>
  async ({ options, args }) => {
    const roles = options.string('roles')
    const annotations = annotationsOf(options)
    return await withAdminApi(options, async (api) => {
      for (const id of idsOf(args)) {
        const request = await api.call(resolveAccessRequest, {
          params: { id },
          body: {
            state,
            reason: options.string('reason') ?? '',
            annotations,
            ...(roles === undefined ? {} : { roles: [...listOf(roles, '--roles')] }),
          },
        })
        process.stdout.write(`${printable(`The request ${id} of ${request.user} has been ${state}.`)}\n`)
      }
      return 0
    })
  }
export const requestsApprove = resolve('approved')
export const requestsDeny = resolve('denied')

/** `team=db,ticket=7`: a name may stand there several times. */
function annotationsOf(options: OptionValues): Record<string, string[]> {
  const text = options.string('annotations')
  const found: Record<string, string[]> = {}
  for (const item of text === undefined ? [] : listOf(text, '--annotations')) {
    const index = item.indexOf('=')
    if (index < 1) throw new BadParameter('--annotations', `--annotations: ${quote(item)} is not NAME=VALUE`)
    const name = item.slice(0, index)
    found[name] = [...(Object.hasOwn(found, name) ? (found[name] ?? []) : []), item.slice(index + 1)]
  }
  return found
}

export const requestsCreate: CommandRun = async ({ options, args }) => {
  const roles = options.string('roles')
  if (roles === undefined) throw new MissingParameter('--roles', 'name the roles: --roles=a,b')
  return await withAdminApi(options, async (api) => {
    const request = await api.call(createAccessRequest, {
      body: { user: args[0] ?? '', roles: [...listOf(roles, '--roles')], reason: options.string('reason') ?? '' },
    })
    await print(options.string('format'), request, () => `${request.id}\n`)
    return 0
  })
}

export const requestsReview: CommandRun = async ({ options, args }) => {
  const [id = ''] = args
  const author = options.string('author')
  if (author === undefined) throw new MissingParameter('--author', 'name the user who reviews: --author=NAME')
  const approve = verdictOf(options)
  return await withAdminApi(options, async (api) => {
    const body = { approve, author, reason: options.string('reason') ?? '' }
    const request = await api.call(reviewAccessRequest, { params: { id }, body })
    process.stdout.write(`${printable(`The review of ${author} counts; the request is ${request.state}.`)}\n`)
    return 0
  })
}

/** Exactly one of `--approve` and `--deny`. */
function verdictOf(options: OptionValues): boolean {
  const [approve, deny] = [options.flag('approve'), options.flag('deny')]
  if (approve === deny) throw new BadParameter('--approve', 'say either --approve or --deny')
  return approve
}

export const requestsRm: CommandRun = ({ options, args }) =>
  withAdminApi(options, async (api) => {
    for (const id of idsOf(args)) {
      await removeRequest(api, id)
      process.stdout.write(`${printable(`The request ${id} has been removed.`)}\n`)
    }
    return 0
  })

export const removeRequest = (api: ApiClient, id: string): Promise<unknown> =>
  api.call(deleteAccessRequest, { params: { id } })
