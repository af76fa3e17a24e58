package org.lvtmobile.app

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource
import org.lvtmobile.core.OnnxRuntime
import org.lvtmobile.core.Size
import java.awt.image.BufferedImage
import java.io.File
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import javax.imageio.ImageIO

/** Runs the complete pipeline without the user interface, with the exported demo model. */
class InferencePipelineTest {
    @TempDir
    private lateinit var empty: File

    private class Result(val size: Size?, val segments: List<SegmentInfo>, val pixels: IntArray)

    private class FirstResult : InferenceWorker.Listener {
        val result = CompletableFuture<Result>()

        override fun onLoading(name: String) = Unit

        override fun onReady(models: List<ModelInfo>) = Unit

        override fun onResult(result: FrameResult) {
            val overlay = result.overlays.single()
            this.result.complete(Result(overlay.size, overlay.segments, overlay.pixels.clone()))
        }

        override fun onError(message: Phrase) {
            result.completeExceptionally(AssertionError(message.toString()))
        }
    }

    private fun frame(): Frame {
        val image: BufferedImage = ImageIO.read(File(System.getProperty("lvt.golden"), "demo.png"))
        val frame = Frame()
        frame.resize(Size(image.height, image.width))
        image.getRGB(0, 0, image.width, image.height, frame.argb, 0, image.width)
        return frame
    }

    @ParameterizedTest
    @ValueSource(strings = ["lvt.artifact", "lvt.parts"])
    @Timeout(60)
    fun `renders fills, outlines and labels for a scene`(property: String) {
        val artifact = File(System.getProperty(property))
        assumeTrue(artifact.exists(), "$artifact is missing; `make android` exports it")
        val folder = checkNotNull(artifact.parentFile)
        val entry = ModelRepository(listOf(folder), NoBundledFiles, empty).entries().single { it.name == artifact.name }
        val frame = frame()
        val listener = FirstResult()
        val result = InferenceWorker(listOf(OnnxRuntime), File(empty, "launches"), listener).use {
            it.load(listOf(ModelRequest(entry, RunSettings(threads = 1))))
            it.submitPhoto(frame, 0)
            listener.result.get(50, TimeUnit.SECONDS)
        }
        assertEquals(frame.size, result.size)
        assertTrue(result.segments.any { it.isInstance && it.anchor != null }, "an instance")
        assertTrue(result.segments.any { !it.isInstance }, "stuff")
        assertTrue(result.pixels.any { it ushr 24 == 0xff }, "an outline")
    }
}
