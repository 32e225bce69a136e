import { ConstraintViolated } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'

/**
 * Runs `work`; each time source rows violate a target constraint, suspends that constraint and retries. A row is never
 * rejected because of a constraint. More than `most` suspensions in a row are a defect, and the violation is thrown.
 */
export async function redoWithoutViolatedConstraints<T>(
  context: EngineContext,
  { model, most }: { readonly model: Model; readonly most: number },
  work: () => Promise<T>,
): Promise<T> {
  for (let redo = 0; ; redo++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ConstraintViolated) || redo >= most) throw error
      await suspend(context, model, error)
    }
  }
}

export function suspend({ target }: EngineContext, model: Model, violated: ConstraintViolated): Promise<void> {
  return target.constraints.suspend(violated, model.plansConstraint(violated.table, violated.constraint))
}
