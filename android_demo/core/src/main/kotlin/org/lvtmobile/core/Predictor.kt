package org.lvtmobile.core

/**
 * Computes predictions for pictures: preprocessing, session and postprocessing of one artifact.
 *
 * Owns [session] and closes it.
 */
class Predictor(val artifact: Artifact, private val session: Session) : AutoCloseable by session {
    /**
     * Computes the prediction for an upright picture.
     *
     * @throws UserError the artifact is a bare backbone, or the runtime cannot run the model.
     */
    fun predict(picture: Picture): Prediction =
        decodeOutputs(artifact, session.run(artifact.preprocessing.apply(picture)), picture.size)

    /** Where the time of the last prediction went; null if the model is not in parts. */
    val stages: StageTimes? get() = session.stages
}
