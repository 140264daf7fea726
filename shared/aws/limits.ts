/** Of every call through an AWS SDK: a network without a way to AWS is told as an error, not as a function's time-out. */
export const SDK_LIMITS = {
  maxAttempts: 2,
  // Without throwOnRequestTimeout an answer that does not come is only warned of, and waited for.
  requestHandler: { connectionTimeout: 1000, requestTimeout: 3000, throwOnRequestTimeout: true },
};
