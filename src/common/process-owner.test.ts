import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { ownProcess, processAlive } from './process-owner.ts'

test('this process runs', async () => {
  const own = await ownProcess()
  expect(own).toMatch(new RegExp(`^${process.pid}-\\d+$`))
  expect(await processAlive(own)).toBe(true)
})

test('another start time is another process', async () => {
  expect(await processAlive(`${process.pid}-1`)).toBe(false)
  expect(await processAlive(`${process.pid}`)).toBe(false)
  expect(await processAlive('')).toBe(false)
})

test('a process that ended does not run', async () => {
  const child = spawn('true')
  await once(child, 'exit')
  expect(await processAlive(`${child.pid}-1`)).toBe(false)
})
