import { Logger } from '@aws-lambda-powertools/logger';
import type { Log } from '../control-plane.ts';

/** JSON lines for CloudWatch. One logger per cold start. */
export function createLambdaLog(): Log {
  const logger = new Logger({ serviceName: 'headrace' });
  return {
    info: (message, data) => logger.info(message, data),
    warn: (message, data) => logger.warn(message, data),
    error: (message, data) => logger.error(message, data),
  };
}
