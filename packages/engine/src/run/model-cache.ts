import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { MODEL_MS } from './cadence.js'

/** Caches one process's model of the source's definitions. Reloads it after ten seconds, and after work that failed. */
export class ModelCache {
  readonly #context: EngineContext
  #kept: { readonly model: Promise<Model>; readonly at: number } | undefined

  constructor(context: EngineContext) {
    this.#context = context
  }

  get(): Promise<Model> {
    if (this.#kept && performance.now() - this.#kept.at <= MODEL_MS) return this.#kept.model
    const model = loadModel(this.#context)
    this.#kept = { model, at: performance.now() }
    model.catch(() => {
      if (this.#kept?.model === model) this.#kept = undefined
    })
    return model
  }

  /** Keeps a model that a drain has just compared with its snapshot. */
  keep(model: Model): void {
    this.#kept = { model: Promise.resolve(model), at: performance.now() }
  }

  /** Runs `work` and drops the model if it fails: a changed definition may be the cause. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#kept = undefined
      throw error
    }
  }
}
