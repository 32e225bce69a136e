/**
 * Everything that talks to BullMQ and Redis: three typed queues under one prefix, the producer and the consumer. Jobs
 * are hints: the work to do is derived from the target's state tables, and Redis may be emptied at any time. Knows no
 * use case; the caller passes in the handlers.
 */
export { checkRedis, type QueueSettings, redisLine } from './connection.js'
export { Consumer, type ConsumerOptions, type Handlers, type Work } from './consumer.js'
export { type JobOf, QUEUE_NAMES, type QueueName } from './jobs.js'
export { Producer, type QueueHealth } from './producer.js'
