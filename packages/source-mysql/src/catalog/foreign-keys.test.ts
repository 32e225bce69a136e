import assert from 'node:assert/strict'
import { test } from 'node:test'
import { actionsIn } from './foreign-keys.js'

test('actions are parsed from CREATE TABLE, whatever its names contain', () => {
  const statement = [
    'CREATE TABLE `c` (',
    "  `a` int(11) DEFAULT NULL COMMENT 'CONSTRAINT `both` FOREIGN KEY (`a`) REFERENCES `p` (`a`) ON DELETE SET NULL',",
    '  KEY `a` (`a`),',
    '  CONSTRAINT `o``n DELETE` FOREIGN KEY (`a`) REFERENCES `p) ON DELETE CASCADE` (`a`) ON UPDATE SET NULL,',
    '  CONSTRAINT `as`it is` FOREIGN KEY (`a`) REFERENCES `p` (`a`) ON DELETE SET NULL,',
    '  CONSTRAINT `both` FOREIGN KEY (`a`, `b`) REFERENCES `other`.`p` (`a`, `b`) ON DELETE CASCADE ON UPDATE NO ACTION,',
    '  CONSTRAINT plain FOREIGN KEY (a) REFERENCES p (a)',
    ') ENGINE=InnoDB',
  ].join('\n')
  assert.deepEqual(actionsIn(statement, ['o`n DELETE', 'as`it is', 'both', 'plain']), [
    ['o`n DELETE', 'RESTRICT', 'SET NULL'],
    ['as`it is', 'SET NULL', 'RESTRICT'],
    ['both', 'CASCADE', 'NO ACTION'],
    ['plain', 'RESTRICT', 'RESTRICT'],
  ])
})
