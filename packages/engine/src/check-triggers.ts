import type { EngineContext } from './context.js'
import type { Model } from './model.js'
import { readTarget } from './read-target.js'
import { setAside } from './set-aside.js'

export const TRIGGERS_GONE = 'its triggers were not what they must be'

/** Finds tables whose triggers are gone or not what they must be, and sets them aside with their descendants. */
export async function checkTriggers(context: EngineContext, model: Model): Promise<string[]> {
  const states = await readTarget(context, (target) => target.progress())
  const captured = [...states.values()].filter(
    (p) => p.captured && p.state !== 'copied' && p.state !== 'suspect' && model.tables.has(p.table),
  )
  const missing = await context.source.missingTriggers(model.triggerTargets(new Set(captured.map((p) => p.table))))
  if (missing.length === 0) return []
  return setAside(context, model, missing, TRIGGERS_GONE)
}
