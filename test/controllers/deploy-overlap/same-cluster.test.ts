import {
  deletion,
  growthInPlace,
  growthWithSavepoint,
  restart,
  shrinkingInPlace,
} from '../../support/deploy-scenarios.ts';
import { itComesToTheSameEnd } from '../../support/overlapping-deploys.ts';

for (const scenario of [growthInPlace, shrinkingInPlace, growthWithSavepoint, restart, deletion])
  itComesToTheSameEnd(scenario, 30);
