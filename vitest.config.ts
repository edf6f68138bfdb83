import { defineConfig } from 'vitest/config'
import { FailuresLast } from './test/failures-last.ts'

export default defineConfig({
  cacheDir: '.vitest',
  test: {
    reporters: ['default', new FailuresLast()],
    pool: 'forks',
    // Most tests wait for programs more than they compute: with two at a time, two cores are idle for a third of the run.
    maxWorkers: 4,
    // Deadlines are for what hangs, not for what is slow: a machine that is busy with other things must not fail a test.
    expect: { poll: { timeout: 30_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'web/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: { name: 'e2e', include: ['test/**/*.test.ts'], testTimeout: 240_000, hookTimeout: 240_000 },
      },
    ],
  },
})
