// The Status objects with which an API server refuses a request, in its own words.
import { type Kind, resourceName } from './kinds.ts';

/** Thrown by a route; the server answers with its code and body. */
export class Refusal extends Error {
  readonly code: number;
  readonly body: string;
  readonly contentType: string;

  constructor(code: number, body: object | string) {
    super(typeof body === 'string' ? body : JSON.stringify(body));
    this.code = code;
    this.body = typeof body === 'string' ? body : JSON.stringify(body);
    this.contentType = typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json';
  }
}

/** A path that belongs to no API group: the only refusals that are not Status objects. */
export function pageNotFound(): Refusal {
  return new Refusal(404, '404 page not found\n');
}

/** A path inside a built-in API group that leads to no resource. */
export function noSuchResource(): Refusal {
  return refusal({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  });
}

export function notFound(kind: Kind, name: string): Refusal {
  const message = `${resourceName(kind)} ${JSON.stringify(name)} not found`;
  return refusal({ code: 404, reason: 'NotFound', message, details: detailsOf(kind, name) });
}

export function alreadyExists(kind: Kind, name: string): Refusal {
  const message = `${resourceName(kind)} ${JSON.stringify(name)} already exists`;
  return refusal({ code: 409, reason: 'AlreadyExists', message, details: detailsOf(kind, name) });
}

const modified = 'the object has been modified; please apply your changes to the latest version and try again';

export function conflict(kind: Kind, name: string, cause = modified): Refusal {
  const message = `Operation cannot be fulfilled on ${resourceName(kind)} ${JSON.stringify(name)}: ${cause}`;
  return refusal({ code: 409, reason: 'Conflict', message, details: detailsOf(kind, name) });
}

/** @param field the path of the fault, as ".spec.taskManagerConfig.replicas" */
export function invalid(kind: Kind, name: string, field: string, fault: string): Refusal {
  const resource = kind.group ? `${kind.kind}.${kind.group}` : kind.kind;
  return refusal({
    code: 422,
    reason: 'Invalid',
    message: `${resource} ${JSON.stringify(name)} is invalid: ${field}: ${fault}`,
    details: {
      name,
      ...(kind.group && { group: kind.group }),
      kind: kind.kind,
      causes: [{ reason: 'FieldValueInvalid', message: fault, field }],
    },
  });
}

/** A patch whose result cannot be read as the type it patches. */
export function invalidPatch(patched: unknown, fault: string): Refusal {
  const message = `Invalid value: ${JSON.stringify(JSON.stringify(patched))}: ${fault}`;
  const causes = [{ reason: 'FieldValueInvalid', message, field: 'patch' }];
  return refusal({ code: 422, reason: 'Invalid', message: ` "" is invalid: patch: ${message}`, details: { causes } });
}

export function badRequest(message: string): Refusal {
  return refusal({ code: 400, reason: 'BadRequest', message });
}

export function unauthorized(): Refusal {
  return refusal({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
}

export function methodNotAllowed(): Refusal {
  const message = 'the server does not allow this method on the requested resource';
  return refusal({ code: 405, reason: 'MethodNotAllowed', message, details: {} });
}

export function unsupportedMediaType(accepted: readonly string[]): Refusal {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return refusal({ code: 415, reason: 'UnsupportedMediaType', message });
}

/** A paged list that took too long; the fresh token reads on from the same place in what there is now. */
export function continueExpired(freshToken: string): Refusal {
  const message =
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the ' +
    'continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing ' +
    'with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the ' +
    'time the first chunk was returned and now may show up in the list.';
  return refusal({ code: 410, reason: 'Expired', message, metadata: { continue: freshToken } });
}

export function internalError(message: string): Refusal {
  return refusal({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ message }] },
  });
}

export function serviceUnavailable(message: string): Refusal {
  return refusal({ code: 503, reason: 'ServiceUnavailable', message });
}

interface RefusalFields {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly metadata?: object;
  readonly details?: object;
}

function refusal({ code, reason, message, metadata = {}, details }: RefusalFields): Refusal {
  return new Refusal(code, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata,
    status: 'Failure',
    message,
    reason,
    ...(details && { details }),
    code,
  });
}

function detailsOf(kind: Kind, name: string): object {
  return { name, ...(kind.group && { group: kind.group }), kind: kind.plural };
}
