import { openMemoryBackend } from './memory.ts'
import { backendSuite } from './suite.ts'

backendSuite('memory', async ({ env, maxQueuedEvents }) => openMemoryBackend(env, { maxQueuedEvents }))
