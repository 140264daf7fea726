import { deletion, takeOver } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

for (const scenario of [deletion, takeOver]) describeKillPoints(scenario);
