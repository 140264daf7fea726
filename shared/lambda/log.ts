import { Logger } from '@aws-lambda-powertools/logger';
import type { Log } from '../control-plane.ts';

/** JSON lines for CloudWatch, under the service name of the environment (POWERTOOLS_SERVICE_NAME). One logger per cold start. */
export function createLambdaLog(): Log {
  const logger = new Logger();
  return {
    info: (message, data) => logger.info(message, data),
    warn: (message, data) => logger.warn(message, data),
    error: (message, data) => logger.error(message, data),
  };
}
