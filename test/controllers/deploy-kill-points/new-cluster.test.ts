import { firstDeploy, newImage, newSize } from '../../support/deploy-scenarios.ts';
import { describeKillPoints } from '../../support/killed-deploys.ts';

for (const scenario of [firstDeploy, newImage, newSize]) describeKillPoints(scenario);
