package org.lvtmobile.app

import org.lvtmobile.core.Artifact
import org.lvtmobile.core.Runtime
import org.lvtmobile.core.Session
import org.lvtmobile.core.Tensor
import java.util.concurrent.CountDownLatch

/** A runtime for the stub model. Detects nothing. An inference waits until [proceed] is zero. */
class FakeRuntime(override val name: String = "fake", override val accelerator: String = "cpu") : Runtime {
    override val version = "0"
    override val target = "onnx"
    override val placementNote = "not told: this is a fake"
    val started = CountDownLatch(1)
    @Volatile var proceed = CountDownLatch(0)
    @Volatile var openFailure: Throwable? = null
    @Volatile var failure: Throwable? = null
    @Volatile var openSessions = 0
    @Volatile var attempts = 0

    override fun open(artifact: Artifact, threads: Int): Session {
        attempts++
        openFailure?.let { throw it }
        openSessions++
        return object : Session {
            override fun run(image: Tensor): Map<String, Tensor> {
                started.countDown()
                proceed.await()
                failure?.let { throw it }
                val semanticArea = artifact.size.area / 16
                return mapOf(
                    "boxes" to Tensor(listOf(1, 4), FloatArray(4)),
                    "scores" to Tensor(listOf(1), FloatArray(1)),
                    "labels" to Tensor(listOf(1), FloatArray(1)),
                    "masks" to Tensor(listOf(1, 28, 28), FloatArray(28 * 28)),
                    "semantic" to Tensor(
                        listOf(1, 10, artifact.size.height / 4, artifact.size.width / 4),
                        FloatArray(10 * semanticArea),
                    ),
                )
            }

            override fun close() {
                openSessions--
            }
        }
    }
}
