import { openMemoryRecordings } from './memory.ts'
import { recordingSuite } from './suite.ts'

recordingSuite('memory', async (onComplete) => openMemoryRecordings(onComplete))
