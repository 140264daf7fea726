import {
  deletionHighlyAvailable,
  firstDeployHighlyAvailable,
  newImageHighlyAvailable,
  rollBackHighlyAvailable,
} from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

for (const scenario of [
  firstDeployHighlyAvailable,
  newImageHighlyAvailable,
  rollBackHighlyAvailable,
  deletionHighlyAvailable,
])
  describeKillPoints(scenario);
