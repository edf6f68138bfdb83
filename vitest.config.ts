import { defineConfig } from 'vitest/config'

export default defineConfig({
  cacheDir: '.vitest',
  test: {
    pool: 'forks',
    // Most tests wait for programs more than they compute: two at a time even where there are two cores.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'], testTimeout: 20_000 } },
      {
        extends: true,
        test: { name: 'e2e', include: ['test/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
})
