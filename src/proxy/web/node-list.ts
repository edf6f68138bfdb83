/** The servers that a user may log in to, searched and in pages, from what the proxy knows of the cluster. */

import { loginsFor, type Subject } from '../../access/decide.ts'
import type { Presence } from '../../api/model.ts'
import type { WebNode, WebNodePage } from '../../api/web-app.ts'
import type { WebSession } from '../../api/web-session-routes.ts'
import { BadParameter } from '../../errors/errors.ts'
import type { WebClient } from './routes.ts'

export interface NodeQuery {
  readonly search: string
  readonly labels: string
  readonly limit: number
  readonly after?: string | undefined
}

export interface NodeListing {
  /** Throws AccessDenied when the session's certificate is not good any more. */
  list(session: WebSession, client: WebClient, query: NodeQuery): WebNodePage
}

const maxWords = 16

/** Sorted by name, then uuid; the cursor is the last one's place in that order. */
export function pageOfNodes(servers: readonly Presence[], subject: Subject, query: NodeQuery): WebNodePage {
  const words = query.search.toLowerCase().split(/\s+/).filter(Boolean).slice(0, maxWords)
  const wanted = parseLabels(query.labels)
  const after = query.after === undefined ? '' : decodeCursor(query.after)
  // Nodes with the same labels have the same logins, and there are few kinds of them.
  const known = new Map<string, readonly string[]>()
  const visible = servers.flatMap((server): { place: string; node: WebNode }[] => {
    const key = JSON.stringify(server.labels)
    const logins = known.get(key) ?? loginsFor(subject, server.labels)
    known.set(key, logins)
    if (logins.length === 0) return []
    const { uuid, hostname, address, labels, version, quiet = false } = server
    const place = `${hostname.toLowerCase()} ${uuid}`
    return [{ place, node: { uuid, hostname, address, labels, version, quiet, logins: [...logins] } }]
  })
  const matching = visible.filter(({ node }) => isWanted(node, words, wanted))
  matching.sort((a, b) => (a.place < b.place ? -1 : 1))
  const rest = matching.filter(({ place }) => place > after)
  const page = rest.slice(0, query.limit)
  const last = page.at(-1)
  return {
    items: page.map(({ node }) => node),
    matching: matching.length,
    total: visible.length,
    ...(rest.length > page.length && last !== undefined ? { next: encodeCursor(last.place) } : {}),
  }
}

function isWanted(node: WebNode, words: readonly string[], wanted: readonly (readonly [string, string])[]): boolean {
  if (!wanted.every(([name, value]) => Object.hasOwn(node.labels, name) && node.labels[name] === value)) return false
  if (words.length === 0) return true
  const labels = Object.entries(node.labels).map(([name, value]) => `${name}=${value}`)
  const text = [node.hostname, node.address, node.uuid, ...labels].join('\n').toLowerCase()
  return words.every((word) => text.includes(word))
}

function parseLabels(text: string): readonly (readonly [string, string])[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.indexOf('=')
      if (at < 1) throw new BadParameter('labels', 'labels: expected lines such as env=prod')
      return [line.slice(0, at), line.slice(at + 1)]
    })
}

const encodeCursor = (place: string): string => Buffer.from(place, 'utf8').toString('base64url')

function decodeCursor(cursor: string): string {
  const place = Buffer.from(cursor, 'base64url').toString('utf8')
  if (encodeCursor(place) === cursor) return place
  throw new BadParameter('after', 'the page cursor is not one that this listing returned; start again without it')
}
