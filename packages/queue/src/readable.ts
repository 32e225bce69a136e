import { Job, type JobProgress, Queue, Worker } from 'bullmq'

type Stored = Parameters<typeof Job.fromJSON>[1]

/**
 * A job whose payload is no JSON carries null. To BullMQ it would be one that can be neither done nor failed: taken
 * again every few seconds for ever, and in the way of every list that it stands in.
 */
class ReadableJob<T, R, N extends string, P extends JobProgress> extends Job<T, R, N, P> {
  static override fromJSON<T, R, N extends string>(
    queue: Parameters<typeof Job.fromJSON>[0],
    stored: Stored,
    jobId?: string,
  ): Job<T, R, N> {
    return super.fromJSON<T, R, N>(queue, isJson(stored.data) ? stored : { ...stored, data: 'null' }, jobId)
  }
}

export class ReadableQueue<T> extends Queue<T> {
  protected override get Job(): typeof Job {
    return ReadableJob
  }
}

export class ReadableWorker<T> extends Worker<T> {
  protected override get Job(): typeof Job {
    return ReadableJob
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
