import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connectAuth } from '../../api/connect.ts'
import { getRecording, readRecording } from '../../api/recording-routes.ts'
import { searchEvents } from '../../api/routes.ts'
import { headerOf } from '../../audit/recording/testing/make.ts'
import { type TestCluster, tempDir, testCluster } from '../../auth/testing/cluster.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { waitFor } from '../../common/testing/wait-for.ts'
import { run } from '../../ssh/testing/run.ts'
import { openRecorder } from './recorder.ts'
import { tapOptions } from './testing/recorder.ts'
import { uploadToAuth } from './upload.ts'

async function recorderOf(cluster: TestCluster) {
  const identity = await cluster.join('node', 'web-1')
  const client = connectAuth({
    addresses: [cluster.address],
    identity: () => identity,
    env: realEnv,
    logger: silentLogger,
  })
  onTestFinished(() => client.close())
  const recorder = await openRecorder({
    dir: join(await tempDir(), 'recordings'),
    upload: uploadToAuth(client),
    env: realEnv,
    logger: silentLogger,
    onFailed: (_, reason) => expect.fail(reason),
  })
  onTestFinished(() => recorder.close())
  return { recorder, header: (more = {}) => headerOf({ serverId: identity.uuid, ...more }) }
}

test('the auth service keeps what a node records, and asciinema shows it', async () => {
  const cluster = await testCluster()
  const { recorder, header } = await recorderOf(cluster)
  const options = tapOptions({ header: header({ command: 'ls', columns: 100, rows: 30 }) })
  const { sid } = options.header
  const tap = await recorder.open(options)
  let shown = ''
  const show = async (text: string) => {
    shown += text
    await tap.output(Buffer.from(text))
  }
  await show('\x1b[31mrot\x1b[m und grün, 漢字\r\n')
  tap.resize(120, 40)
  tap.mark('bob joined as observer')
  for (let i = 0; i < 30; i++) await show(`${i} ${'flood '.repeat(8000)}\r\n`)
  await tap.end(['alice', 'bob'])
  await waitFor(async () =>
    expect(await cluster.admin.call(getRecording, { params: { sid } })).toMatchObject({
      state: 'complete',
      participants: ['alice', 'bob'],
    }),
  )
  const parts: Buffer[] = []
  for await (const chunk of cluster.admin.stream(readRecording, { params: { sid }, query: { action: 'export' } })) {
    parts.push(Buffer.from(chunk.data, 'base64'))
  }
  const events = await cluster.admin.call(searchEvents, { query: { type: 'session.upload' } })
  expect(events).toMatchObject({ items: [{ sid, chunks: parts.length }] })

  const file = join(await tempDir(), 'recording.cast')
  writeFileSync(`${file}.zst`, Buffer.concat(parts))
  // As everybody can do it without us.
  const { stdout: text } = await run('zstdcat', [`${file}.zst`])
  writeFileSync(file, text)
  // It wants a terminal.
  const { stdout } = await run('script', ['-qec', `asciinema cat ${file}`, '/dev/null'], { env: { LC_ALL: 'C.UTF-8' } })
  expect(stdout.toString().slice(0, 60)).toContain('grün, 漢字')
  expect(stdout.equals(Buffer.from(shown))).toBe(true)
})

test('with node-sync a byte is at the auth service before it is shown', async () => {
  const cluster = await testCluster()
  const { recorder, header } = await recorderOf(cluster)
  const options = tapOptions({ header: header(), mode: 'node-sync' })
  const { sid } = options.header
  const tap = await recorder.open(options)
  await tap.output(Buffer.from('secret'))
  const summary = await cluster.admin.call(getRecording, { params: { sid } })
  expect(summary).toMatchObject({ state: 'running', chunks: 2 })
  await tap.end(['alice'])
  expect(await cluster.admin.call(getRecording, { params: { sid } })).toMatchObject({ state: 'complete' })
})
