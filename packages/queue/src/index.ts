/**
 * All that speaks BullMQ and Redis: three typed queues under one prefix, who puts jobs in and who takes them out.
 * Jobs are hints: what there is to do stands in the target's state tables, and Redis may be emptied at any time.
 * Knows no use case; the handlers are handed in.
 */
export { checkRedis, type QueueSettings, redisLine } from './connection.js'
export { Consumer, type ConsumerOptions, type Handlers, type Work } from './consumer.js'
export { type JobOf, QUEUE_NAMES, type QueueName } from './jobs.js'
export { Producer, type QueueHealth } from './producer.js'
