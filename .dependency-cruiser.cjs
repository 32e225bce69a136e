// The direction of imports. Workspace imports resolve into dist/, so run it after a build, and rules name package folders.
const only = (name, allowed) => ({
  name: `${name}-imports-only-${allowed.join('-') || 'nothing'}`,
  severity: 'error',
  from: { path: `^packages/${name}/src`, pathNot: '[.]test[.]ts$' },
  to: { path: '^(packages|apps)/', pathNot: `^packages/(${[name, ...allowed].join('|')})/` },
})
const driver = (pattern, homes) => ({
  name: `${pattern.replace(/[^a-z]/g, '')}-only-in-${homes.join('-')}`,
  severity: 'error',
  from: { path: '^(packages|apps)/[^/]+/src', pathNot: `^(packages|apps)/(${homes.join('|')})/` },
  to: { path: `node_modules/(${pattern})/` },
})
// The visitor of @swc/core stops at `await using`, which it has no name for; what is declared so imports as any other expression.
const { default: Visitor } = require('@swc/core/Visitor.js')
const visitStatement = Visitor.prototype.visitStatement
Visitor.prototype.visitStatement = function (statement) {
  if (statement.type !== 'UsingDeclaration') return visitStatement.call(this, statement)
  statement.decls = this.visitVariableDeclarators(statement.decls)
  return statement
}

module.exports = {
  forbidden: [
    only('core', []),
    only('mapping', ['core']),
    only('runtime', ['core']),
    only('config', ['core', 'mapping']),
    only('source-mysql', ['core', 'mapping', 'runtime']),
    only('target-postgres', ['core', 'mapping', 'runtime']),
    only('queue', ['core', 'mapping', 'runtime']),
    only('engine', ['core', 'mapping', 'runtime']),
    driver('mysql2', ['source-mysql', 'testkit']),
    driver('pg|pg-copy-streams|pg-pool', ['target-postgres', 'testkit']),
    driver('bullmq|ioredis', ['queue']),
    driver('yargs|cli-progress', ['cli']),
    {
      name: 'nothing-imports-testkit',
      severity: 'error',
      from: { path: '^(packages|apps)/[^/]+/src', pathNot: '^packages/testkit/|[.]test[.]ts$' },
      to: { path: '^packages/testkit/' },
    },
    {
      name: 'fast-check-only-in-tests',
      severity: 'error',
      from: { path: '/src/', pathNot: '[.]test[.]ts$' },
      to: { path: 'node_modules/fast-check/' },
    },
    { name: 'no-circles', severity: 'error', from: { path: '/src/' }, to: { circular: true, viaOnly: { pathNot: 'node_modules' } } },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules/(?!@mylab-sync)' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
}
