import { growthInPlace, newImage } from '../support/deploy-scenarios.ts';
import { itComesToTheSameEnd } from '../support/overlapping-deploys.ts';

itComesToTheSameEnd(newImage, 10);
itComesToTheSameEnd(growthInPlace, 10);
