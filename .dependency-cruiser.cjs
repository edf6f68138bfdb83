// The arrows of docs/architecture.md: a room may import only from the rooms named beside it.
const rooms = {
  errors: [],
  common: ['errors'],
  ssh: ['errors', 'common'],
  backend: ['errors', 'common'],
  access: ['errors', 'common'],
  audit: ['errors', 'common'],
  config: ['errors', 'common'],
  api: ['errors', 'common', 'ssh', 'backend', 'access', 'audit', 'config'],
  auth: ['errors', 'common', 'ssh', 'backend', 'access', 'audit', 'config', 'api'],
  proxy: ['errors', 'common', 'ssh', 'access', 'audit', 'config', 'api'],
  node: ['errors', 'common', 'ssh', 'access', 'audit', 'config', 'api'],
  service: ['errors', 'common', 'ssh', 'backend', 'access', 'audit', 'config', 'api', 'auth', 'proxy', 'node'],
  cli: ['errors', 'common', 'ssh', 'access', 'audit', 'config', 'api', 'service'],
}

// How a recording is read and played is the same in a terminal and in the page; none of it needs Node.js.
const playing = ['^src/audit/recording/(play/[^/]+|cast-entry|limits|screen|emulator|guard-terminal)\\.ts$']
// Pure modules that mean the same in a terminal and in the page; none of them needs Node.js.
const described = ['^src/audit/describe\\.ts$', '^src/common/(text|bytes|terminal-modes)\\.ts$', '^src/api/resource-text\\.ts$']

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: { path: '^src' }, to: { circular: true, dependencyTypesNot: ['type-only'] } },
    { name: 'no-undeclared-package', severity: 'error', from: { path: '^src', pathNot: '/testing/' }, to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] } },
    {
      name: 'web-sees-only-the-types-of-the-web-api',
      severity: 'error',
      from: { path: '^web/' },
      to: { path: '^src/', pathNot: ['^src/api/web[^/]*\\.ts$', ...playing, ...described] },
    },
    {
      name: 'web-takes-types-only',
      severity: 'error',
      from: { path: '^web/' },
      to: { path: '^src/', pathNot: [...playing, ...described], dependencyTypesNot: ['type-only'] },
    },
    { name: 'nobody-imports-web', severity: 'error', from: { path: '^src/' }, to: { path: '^web/' } },
    ...Object.entries(rooms).map(([room, allowed]) => ({
      name: `${room}-imports-only-${allowed.join('-') || 'nothing'}`,
      severity: 'error',
      from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
      to: { path: '^src/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
    })),
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(\\.test|/suite)\\.ts$' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.js', '.json'] },
  },
}
