import type { EngineContext } from '../context.js'
import { loadModel } from '../model/load.js'
import type { Model } from '../model/model.js'
import { MODEL_MS } from './cadence.js'

/** The source's definitions as one process knows them: read again after ten seconds, or after work that failed. */
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

  /** A drain has compared this model with its snapshot. */
  keep(model: Model): void {
    this.#kept = { model: Promise.resolve(model), at: performance.now() }
  }

  /** Work that fails may have failed for a definition that has moved: the model is read again after it. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#kept = undefined
      throw error
    }
  }
}
