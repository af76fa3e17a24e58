package org.lvtmobile.core

/**
 * From picture to answer: an artifact's preprocessing, its session and its postprocessing.
 *
 * Owns [session].
 */
class Model(val artifact: Artifact, private val session: Session) : AutoCloseable by session {
    /**
     * What the model says of an upright picture.
     *
     * @throws UserError a bare backbone, or the runtime cannot run the model.
     */
    fun answer(picture: Picture): Answer =
        answer(artifact, session.run(artifact.preprocessing.apply(picture)), picture.size)
}
