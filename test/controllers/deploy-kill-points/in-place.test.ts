import { growthInPlace, growthWithSavepoint, shrinkingInPlace } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

for (const scenario of [growthInPlace, shrinkingInPlace, growthWithSavepoint]) describeKillPoints(scenario);
