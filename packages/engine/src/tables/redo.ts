import { ConstraintViolated } from '@mylab-sync/core'
import type { EngineContext } from '../context.js'
import type { Model } from '../model/model.js'

/**
 * Does `work` again without each constraint that the truth breaks: no row is refused for one. They are suspended one at
 * a time; more in a row than `most` is a defect.
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
