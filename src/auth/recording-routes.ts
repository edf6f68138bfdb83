/** The endpoints for recordings: nodes bring chunks, people list and watch. */

import type { FastifyInstance } from 'fastify'
import * as routes from '../api/routes.ts'
import { PreparedLines, serve } from '../api/serve.ts'
import type { Services } from './services.ts'

/** An empty line, which clients pass over: the stream is alive. */
const stillHere = new PreparedLines('\n')

export function mountRecordings(app: FastifyInstance, services: Services): void {
  mountUploads(app, services)
  mountReading(app, services)
}

/** `serverId` is always the caller: a node touches its own recordings only. */
function mountUploads(app: FastifyInstance, { recordings }: Services): void {
  serve(app, routes.beginRecording, async ({ caller, body }) => {
    const { command, term, ...rest } = body
    return recordings.begin({
      ...rest,
      serverId: caller.name,
      ...(command === undefined ? {} : { command }),
      ...(term === undefined ? {} : { term }),
    })
  })
  serve(app, routes.appendChunk, async ({ caller, params, body }) => {
    const data = Buffer.from(body.data, 'base64')
    return recordings.append(params.sid, caller.name, { ...body, data })
  })
  serve(app, routes.completeRecording, async ({ caller, params, body }) => {
    const { failure, ...rest } = body
    const end = { ...rest, ...(failure === undefined ? {} : { failure }) }
    const summary = await recordings.complete(params.sid, caller.name, end)
    return { ...summary, participants: [...summary.participants] }
  })
}

function mountReading(app: FastifyInstance, { recordingAccess }: Services): void {
  serve(app, routes.listRecordings, async ({ caller, query }) => {
    const { from, to, user, node, search, limit, after } = query
    const { recordings, next } = await recordingAccess.list(caller, {
      limit,
      ...(from === undefined ? {} : { from: new Date(from) }),
      ...(to === undefined ? {} : { to: new Date(to) }),
      ...(user === undefined ? {} : { user }),
      ...(node === undefined ? {} : { node }),
      ...(search === undefined ? {} : { search }),
      ...(after === undefined ? {} : { cursor: after }),
    })
    const items = recordings.map(({ matches, participants, ...rest }) => ({
      ...rest,
      participants: [...participants],
      ...(matches === undefined ? {} : { matches: matches.map((match) => ({ ...match })) }),
    }))
    return next === undefined ? { items } : { items, next }
  })
  serve(app, routes.getRecording, async ({ caller, params }) => {
    const summary = await recordingAccess.get(caller, params.sid)
    return { ...summary, participants: [...summary.participants] }
  })
  serve(app, routes.readRecording, async function* ({ caller, params, query, signal }) {
    const use = { at: query.at, action: query.action, follow: query.follow === 'true' }
    for await (const chunk of recordingAccess.read(caller, params.sid, use, signal)) {
      if (chunk === undefined) {
        yield stillHere
        continue
      }
      const { index, fromMs, toMs, textBytes, keyframe, sha256, data } = chunk
      yield { index, fromMs, toMs, textBytes, keyframe, sha256, data: data.toString('base64') }
    }
  })
}
